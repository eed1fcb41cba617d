"""Exponential moving average of the weights: what is exported and what previews are drawn with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["ExponentialMovingAverage"]


class ExponentialMovingAverage:
    """Keeps ``average = decay * average + (1 - decay) * weight`` for every trainable parameter.

    The decay grows as ``(1 + n) / (10 + n)`` up to ``max_decay``, so that the random start is forgotten.

    Source: Karras et al. 2024, "Analyzing and Improving the Training Dynamics of Diffusion Models",
    section 3, on why the average is what should be sampled from.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], max_decay: float) -> None:
        self.max_decay = max_decay
        self.updates = 0
        self._parameters = list(parameters)
        self.average = [parameter.detach().clone() for parameter in self._parameters]

    def decay(self) -> float:
        """The decay that the next update uses, in 0..``max_decay``."""
        return min(self.max_decay, (1 + self.updates) / (10 + self.updates))

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present weights."""
        weights = [parameter.detach() for parameter in self._parameters]
        torch._foreach_lerp_(self.average, weights, 1 - self.decay())
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network hold the averaged weights within the block."""
        trained = [parameter.detach().clone() for parameter in self._parameters]
        self._assign(self.average)
        try:
            yield
        finally:
            self._assign(trained)

    def state_dict(self) -> dict[str, int | list[Tensor]]:
        """Everything needed to go on."""
        return {"updates": self.updates, "average": self.average}

    def load_state_dict(self, state: dict[str, int | list[Tensor]]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        updates, average = state["updates"], state["average"]
        if not isinstance(updates, int) or not isinstance(average, list):
            raise TypeError("Not the state of an exponential moving average.")
        self.updates = updates
        with torch.no_grad():
            for own, saved in zip(self.average, average, strict=True):
                own.copy_(saved)

    @torch.no_grad()
    def _assign(self, tensors: Sequence[Tensor]) -> None:
        for parameter, tensor in zip(self._parameters, tensors, strict=True):
            parameter.copy_(tensor)
