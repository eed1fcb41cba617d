"""A device that is main memory, too, but where it is known what lies on it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from modules.runtime.residence import Carrier

__all__ = ["CountingCarrier", "lies_at", "size"]


class CountingCarrier(Carrier):
    """Copies weights within main memory and counts the bytes that would be on the device.

    Attributes:
        capacity: bytes it holds; more raise what a full device raises.
        largest: most bytes there ever were at once.
        log: "fetch" and "retire", in their order.
    """

    def __init__(self, capacity: int = 2**40) -> None:
        super().__init__(torch.device("cpu"))
        self.capacity = capacity
        self.largest = 0
        self.log: list[str] = []
        self._copies: dict[int, Tensor] = {}

    @property
    def moves(self) -> bool:
        """Weights are moved, although it gains nothing here."""
        return True

    @property
    def held(self) -> int:
        """Bytes on the device now."""
        return sum(copy.nbytes for copy in self._copies.values())

    def holds(self, tensor: Tensor) -> bool:
        """Whether the tensor's values lie on the device."""
        return tensor.data_ptr() in self._copies

    def adopt(self, network: nn.Module) -> None:
        """Take what a network holds for copies that were made earlier."""
        for parameter in network.parameters():
            self._copies[parameter.data_ptr()] = parameter.data

    def fetch(self, weights: Sequence[Tensor]) -> Callable[[], list[Tensor]]:
        self.log.append("fetch")
        self._check(sum(weight.nbytes for weight in weights))
        return super().fetch(weights)

    def bring(self, weight: Tensor) -> Tensor:
        if self.holds(weight):
            return weight
        self._check(weight.nbytes)
        copy = weight.clone()
        self._copies[copy.data_ptr()] = copy
        self.largest = max(self.largest, self.held)
        return copy

    def _check(self, more: int) -> None:
        if self.held + more > self.capacity:
            raise torch.OutOfMemoryError("out of memory")

    def retire(self, copies: list[Tensor]) -> None:
        self.log.append("retire")
        for copy in copies:
            del self._copies[copy.data_ptr()]
        super().retire(copies)

    def home(self, weight: Tensor) -> Tensor:
        return weight.clone() if self._copies.pop(weight.data_ptr(), None) is not None else weight


def lies_at(network: nn.Module) -> list[int]:
    """Addresses of a network's weights."""
    return [parameter.data_ptr() for parameter in network.parameters()]


def size(*networks: nn.Module) -> int:
    """Bytes of weights."""
    return sum(parameter.nbytes for network in networks for parameter in network.parameters())
