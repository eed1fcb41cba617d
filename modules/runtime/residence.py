"""Where the networks of a model lie: on the device, or at home in main memory until they are needed.

A network may be brought as a whole, after others have gone home, or layer by layer while it computes: then
the copy of the next layer's weights is under way on a stream of its own while one layer computes, and at most
two layers lie on the device at a time. Weights are only read, so a layer that leaves is not copied back.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from modules.runtime.memory import is_out_of_memory, release_cached_memory

__all__ = ["Carrier", "Residence", "SideStreamCarrier", "carrier_for", "layer_by_layer"]

log = logging.getLogger(__name__)

Weights = list[Tensor]


class Carrier:
    """Copies weights to a device and home again; the plain way, which waits for each copy."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def moves(self) -> bool:
        """Whether the device has a memory of its own, so that moving weights gains anything."""
        return self.device.type not in {"cpu", "mps"}

    def fetch(self, weights: Sequence[Tensor]) -> Callable[[], Weights]:
        """Begin to copy weights to the device; the answer waits for the copies and returns them."""
        copies = [self.bring(weight) for weight in weights]
        return lambda: copies

    def bring(self, weight: Tensor) -> Tensor:
        """The weight on the device."""
        return weight.to(self.device)

    def retire(self, copies: Weights) -> None:
        """Let copies go as soon as all that the device was asked to do has read them."""
        copies.clear()

    def home(self, weight: Tensor) -> Tensor:
        """The weight in main memory."""
        return weight.to("cpu")

    def ready(self, weight: Tensor) -> Tensor:
        """The weight in main memory, where it can be fetched from fastest."""
        return self.home(weight)


class SideStreamCarrier(Carrier):
    """Copies to a CUDA device from pinned memory, on a stream beside the one that computes."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._side: torch.cuda.Stream | None = None
        self._retired: list[tuple[torch.cuda.Event, Weights]] = []
        self._pins = True

    def fetch(self, weights: Sequence[Tensor]) -> Callable[[], Weights]:
        """See :meth:`Carrier.fetch`; first waits until retired copies are read, which bounds the memory."""
        self._drop_retired()
        side = self._side = self._side or torch.cuda.Stream(self.device)
        with torch.cuda.stream(side):
            copies = [weight.to(self.device, non_blocking=True) for weight in weights]
            copied = side.record_event()

        def arrived() -> Weights:
            torch.cuda.current_stream(self.device).wait_event(copied)
            return copies

        return arrived

    def retire(self, copies: Weights) -> None:
        """See :meth:`Carrier.retire`."""
        read = torch.cuda.current_stream(self.device).record_event()
        self._retired.append((read, list(copies)))
        copies.clear()

    def ready(self, weight: Tensor) -> Tensor:
        """See :meth:`Carrier.ready`."""
        weight = self.home(weight)
        if not self._pins or weight.is_pinned():
            return weight
        try:
            return weight.pin_memory()
        except RuntimeError as error:
            self._pins = False
            log.warning("weights cannot be pinned and go to the device the slower way: %s", error)
            return weight

    def _drop_retired(self) -> None:
        while self._retired:
            read, _copies = self._retired.pop(0)
            read.synchronize()


def carrier_for(device: torch.device) -> Carrier:
    """The fastest carrier of a device."""
    return SideStreamCarrier(device) if device.type == "cuda" else Carrier(device)


class Residence:
    """Knows where the networks of one model lie. Used by the engine's thread only.

    Args:
        carrier: moves them; without one they lie in main memory and compute there.
        at_home: networks that are not on the device yet; all others are.
        before_leaving: told before networks leave the device, so that nobody holds their weights there.
    """

    def __init__(
        self,
        carrier: Carrier | None = None,
        at_home: Sequence[nn.Module] = (),
        *,
        before_leaving: Callable[[], None] = lambda: None,
    ) -> None:
        self._carrier = Carrier(torch.device("cpu")) if carrier is None else carrier
        self._at_home: WeakSet[nn.Module] = WeakSet(at_home)
        self._before_leaving = before_leaving

    @property
    def moves(self) -> bool:
        """Whether there are two places to be in."""
        return self._carrier.moves

    @contextmanager
    def lend(
        self,
        network: nn.Module,
        others: Sequence[nn.Module] = (),
        *,
        alone: bool = False,
        layers: Sequence[nn.Module] = (),
    ) -> Iterator[None]:
        """Let a network compute on the device within the block.

        Args:
            network: one of the model's.
            others: the rest of them.
            alone: let the others go home first; without, they go when the network finds no room.
            layers: of the network, in the order in which they are called, together all its weights: each is
                brought only while it computes. Empty brings the network, which stays on the device.
        """
        if alone:
            self.send_home(others)
        if not layers:
            self._bring(network, others)
            yield
            return
        self.send_home((network,))
        with layer_by_layer(layers, self._carrier) if self.moves else nullcontext():
            yield

    def send_home(self, networks: Sequence[nn.Module]) -> None:
        """Take networks off the device."""
        if not self.moves:
            return
        leaving = [network for network in networks if network not in self._at_home]
        if leaving:
            self._before_leaving()
        for network in leaving:
            _change(network, self._carrier.home)
            self._at_home.add(network)
        if leaving:
            release_cached_memory(self._carrier.device)

    def _bring(self, network: nn.Module, others: Sequence[nn.Module]) -> None:
        if not self.moves or network not in self._at_home:
            return
        try:
            self._move_in(network)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if network in self._at_home:
            self.send_home(others)
            self._move_in(network)

    def _move_in(self, network: nn.Module) -> None:
        try:
            _change(network, self._carrier.bring)
        except (RuntimeError, MemoryError):
            _change(network, self._carrier.home)
            raise
        self._at_home.discard(network)


@contextmanager
def layer_by_layer(layers: Sequence[nn.Module], carrier: Carrier) -> Iterator[None]:
    """Within the block each layer's weights are on the device while it computes, and at home otherwise.

    Args:
        layers: in the order in which they are called; another order is only slower.
        carrier: brings them.
    """
    visits = _Visits(layers, carrier)
    handles: list[RemovableHandle] = []
    try:
        for index, layer in enumerate(layers):
            handles += visits.attach(index, layer)
        yield
    finally:
        for handle in handles:
            handle.remove()
        visits.end()


class _Visits:
    """Layers come to the device and leave it, one after the other."""

    def __init__(self, layers: Sequence[nn.Module], carrier: Carrier) -> None:
        self._layers = layers
        self._carrier = carrier
        self._homes: dict[int, Weights] = {}  # of the layer that is on the device
        self._coming: tuple[int, Callable[[], Weights]] | None = None

    def attach(self, index: int, layer: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
        return (
            layer.register_forward_pre_hook(lambda _layer, _inputs: self._enter(index)),
            layer.register_forward_hook(lambda _layer, _inputs, _output: self._leave(index)),
        )

    def end(self) -> None:
        """Whatever has happened: every weight is at home."""
        with _changeable():
            self._let_go()
            for index in list(self._homes):
                self._go_home(index)

    def _enter(self, index: int) -> None:
        with _changeable():
            coming = self._coming
            if coming is None or coming[0] != index:
                coming = self._send_for(index)
            self._coming = None
            tensors, copies = _tensors(self._layers[index]), coming[1]()
            self._homes[index] = [tensor.data for tensor in tensors]
            for tensor, copy in zip(tensors, copies, strict=True):
                tensor.data = copy

    def _leave(self, index: int) -> None:
        with _changeable():
            if index + 1 < len(self._layers):
                self._coming = self._send_for(index + 1)
            self._go_home(index)

    def _send_for(self, index: int) -> tuple[int, Callable[[], Weights]]:
        self._let_go()  # of what was expected in its place
        tensors = _tensors(self._layers[index])
        for tensor in tensors:
            tensor.data = self._carrier.ready(tensor.data)
        return index, self._carrier.fetch([tensor.data for tensor in tensors])

    def _let_go(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None:
            self._carrier.retire(coming[1]())

    def _go_home(self, index: int) -> None:
        copies = []
        for tensor, home in zip(_tensors(self._layers[index]), self._homes.pop(index), strict=True):
            copies.append(tensor.data)
            tensor.data = home
        self._carrier.retire(copies)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


@contextmanager
def _changeable() -> Iterator[None]:
    """What is made within inference mode could never again take the place of a weight outside of it."""
    with torch.inference_mode(mode=False), torch.no_grad():
        yield


def _change(network: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    with _changeable():
        for tensor in _tensors(network):
            tensor.data = change(tensor.data)
