"""What a compared implementation must be able to do; one object of it lives in a process of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from torch import Tensor

from benchmarks.kinds import Kind, Work

__all__ = ["CONTESTANTS", "GPU_CONTESTANTS", "REFERENCE", "Contestant", "Entry"]


class Contestant(Protocol):
    """One implementation in one configuration. All calls are made in one process, one after another."""

    def load(self, checkpoint: Path, kind: Kind) -> None:
        """Load the checkpoint (original single-file layout) and be ready for the first call."""
        ...

    def unet(self, work: Work) -> Tensor:
        """One call of the U-Net on both rows; (2, 4, h, w) float32."""
        ...

    def decode(self, work: Work) -> Tensor:
        """Decode ``work.z``; (1, 3, H, W) float32."""
        ...

    def text(self, work: Work, *, again: bool) -> None:
        """Encode a prompt and a negative prompt; ``again`` with texts that were encoded before."""
        ...

    def picture(self, kind: Kind, side: int, steps: int) -> None:
        """Make one picture from words: encode, sample by Euler with guidance, decode."""
        ...

    def memory(self) -> int:
        """Most bytes the process has held, on the GPU where it computes there."""
        ...


@dataclass(frozen=True)
class Entry:
    """How a contestant is made.

    Attributes:
        factory: ``module:Class`` of a :class:`Contestant`, made with ``options`` as keywords.
        environment: variables of its process.
    """

    label: str
    factory: str
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


_PATIENT = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}  # as the program starts itself
REFERENCE = "diffusers"
CONTESTANTS: Mapping[str, Entry] = {
    "diffusers": Entry("diffusers, its default (fp32)", "benchmarks.theirs:Theirs"),
    "diffusers-best": Entry(
        "diffusers, fastest (bf16, channels-last)", "benchmarks.theirs:Theirs", {"precision": "half"}
    ),
    "ours-full": Entry(
        "this program, --precision full", "benchmarks.ours:Ours", {"precision": "full"}, _PATIENT
    ),
    "ours": Entry("this program", "benchmarks.ours:Ours", {"precision": "auto"}, _PATIENT),
}
_GPU = {"device": "cuda"}
GPU_CONTESTANTS: Mapping[str, Entry] = {
    "diffusers": Entry(
        "diffusers, its default (fp16)", "benchmarks.theirs:Theirs", {"precision": "float16", **_GPU}
    ),
    "diffusers-best": Entry(
        "diffusers, compiled (fp16, channels-last, max-autotune)",
        "benchmarks.theirs:Theirs",
        {"precision": "float16", "compiled": "max-autotune", **_GPU},
    ),
    "ours-plain": Entry(
        "this program, --no-cuda-graphs",
        "benchmarks.ours:Ours",
        {"precision": "auto", "graphs": "no", **_GPU},
        _PATIENT,
    ),
    "ours-compiled": Entry(
        "this program, --torch-compile",
        "benchmarks.ours:Ours",
        {"precision": "auto", "compiled": "yes", **_GPU},
        _PATIENT,
    ),
    "ours": Entry("this program", "benchmarks.ours:Ours", {"precision": "auto", **_GPU}, _PATIENT),
}
