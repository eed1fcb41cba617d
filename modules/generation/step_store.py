"""Where running images are kept, so that a killed server continues at the step it had reached."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from modules.diffusion.sampling import SamplerState
from modules.generation.effects import PassDone, Stage, StepEnd

__all__ = ["ImageMemory", "StepStore", "StoredStep"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredStep:
    """A sampler state and the number of denoiser calls that led to it."""

    state: SamplerState
    calls: int


@dataclass(frozen=True)
class ImageMemory:
    """What an earlier run of the same image left behind; empty for a fresh image."""

    steps: dict[Stage, StoredStep]
    finished: dict[Stage, Tensor]

    @classmethod
    def empty(cls) -> "ImageMemory":
        """Memory of an image that starts from its first step."""
        return cls({}, {})


class StepStore:
    """One small file an image and pass under ``root/<job>/``, replaced atomically.

    A file that cannot be read counts as absent: the image then starts over, which costs time and
    changes nothing in the result.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def save_step(self, job: str, index: int, step: StepEnd) -> None:
        """Keep a step's state; the last one saved wins."""
        tensors = {"x": step.state.x}
        tensors |= {f"history.{i}": h for i, h in enumerate(step.state.history)}
        tensors["scalars"] = torch.tensor(step.state.scalars, dtype=torch.float64)
        numbers = {"step": step.state.step, "draws": step.state.draws, "calls": step.calls}
        self._write(job, f"{index}.{step.stage}.step", tensors, numbers)

    def save_pass(self, job: str, index: int, done: PassDone) -> None:
        """Keep a finished pass's latent."""
        self._write(job, f"{index}.{done.stage}.done", {"x": done.latent}, {})

    def recall(self, job: str, index: int) -> ImageMemory:
        """Read what is known of an image; empty when nothing is."""
        memory = ImageMemory.empty()
        passes: tuple[Stage, ...] = ("first", "hires")
        for name in passes:
            if (done := self._read(job, f"{index}.{name}.done")) is not None:
                memory.finished[name] = done[0]["x"]
            if (stored := self._read(job, f"{index}.{name}.step")) is not None:
                memory.steps[name] = _stored_step(*stored)
        return memory

    def save_note(self, job: str, name: str, text: str) -> None:
        """Keep a text with a job's states; the last one saved under a name wins."""
        folder = self._root / job
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / f"{name}.json")

    def recall_note(self, job: str, name: str) -> str | None:
        """A text that was kept; None when there is none."""
        try:
            return (self._root / job / f"{name}.json").read_text(encoding="utf-8")
        except OSError:
            return None

    def forget(self, job: str) -> None:
        """Drop a finished job's states."""
        folder = self._root / job
        if not folder.is_dir():
            return
        for file in folder.iterdir():
            file.unlink(missing_ok=True)
        folder.rmdir()

    def _write(self, job: str, name: str, tensors: dict[str, Tensor], numbers: dict[str, int]) -> None:
        folder = self._root / job
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.safetensors"
        partial = path.with_suffix(".partial")
        host = {key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in tensors.items()}
        partial.write_bytes(save(host, {key: str(value) for key, value in numbers.items()}))
        Path(partial).replace(path)

    def _read(self, job: str, name: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        path = self._root / job / f"{name}.safetensors"
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            log.warning("step state %s is unreadable, the image starts over: %s", path.name, error)
            return None


def _stored_step(tensors: dict[str, Tensor], numbers: dict[str, str]) -> StoredStep:
    count = sum(key.startswith("history.") for key in tensors)
    state = SamplerState(
        x=tensors["x"],
        step=int(numbers["step"]),
        history=tuple(tensors[f"history.{i}"] for i in range(count)),
        scalars=tuple(tensors["scalars"].tolist()),
        draws=int(numbers["draws"]),
    )
    return StoredStep(state, int(numbers["calls"]))
