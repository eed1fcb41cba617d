"""A recorder without a GPU: it really computes again, from the tensors it was recorded with."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from modules.runtime.graphs import Recording

__all__ = ["Rerun", "RerunRecorder"]


@dataclass(eq=False)
class Rerun:
    """Overwrites one result, as a graph does."""

    call: Callable[[], Tensor]
    out: Tensor
    replays: int = 0

    def replay(self) -> Tensor:
        self.replays += 1
        self.out.copy_(self.call())
        return self.out


@dataclass(eq=False)
class RerunRecorder:
    """Records reruns; fails with ``error`` where one is given."""

    error: RuntimeError | None = None
    made: list[Rerun] = field(default_factory=list)
    beside: list[Recording | None] = field(default_factory=list)

    def record(self, call: Callable[[], Tensor], device: torch.device, beside: Recording | None) -> Recording:
        self.beside.append(beside)
        if self.error is not None:
            raise self.error
        with torch.inference_mode(mode=False):
            self.made.append(Rerun(call, torch.zeros_like(call())))
        return self.made[-1]
