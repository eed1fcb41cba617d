"""The training loop: loss, gradient, update, average, save; and going on exactly where it stopped.

Everything random in a step is drawn from generators seeded with (seed, step), see :func:`step_generator`.
So the state of a run is its step, weights, optimisers and average; a run that was killed and
continued ends with the same bits as one that was not.
"""

import logging
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from modules.exceptions import TrainingError
from modules.training.ema import ExponentialMovingAverage

__all__ = [
    "LoopSettings",
    "Measurement",
    "RateSchedule",
    "Trainer",
    "numpy_generator",
    "step_generator",
    "write_tensors",
]

_LOG = logging.getLogger(__name__)

Measurement = tuple[Tensor, Mapping[str, float]]


def step_generator(seed: int, step: int) -> torch.Generator:
    """A torch generator for everything that one step draws."""
    sequence = np.random.SeedSequence((seed, step))
    return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))


def numpy_generator(seed: int, step: int) -> np.random.Generator:
    """A numpy generator for everything that one step draws."""
    return np.random.default_rng((seed, step))


def write_tensors(state: Mapping[str, object], path: Path) -> None:
    """Save so that ``path`` always holds a whole file, whenever the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    torch.save(dict(state), partial)
    partial.replace(path)


class RateSchedule(Protocol):
    """What becomes of the learning rates over time."""

    def factor(self, step: int) -> float:
        """The factor on them at step ``step``, counted from 0."""
        ...


@dataclass(frozen=True)
class LoopSettings:
    """How a run goes, apart from what it learns.

    Attributes:
        steps: Updates in all.
        schedule: Factor on the optimisers' learning rates over time.
        accumulation: Losses that are measured for one update.
        max_gradient_norm: Gradients are scaled down to this norm; infinite leaves them as they are.
        max_gradient_value: Each number of a gradient is cut to this; infinite leaves them as they are.
        ema_decay: Largest decay of the average; 0 keeps none.
        save_seconds: Time between two saves of the whole state.
        save_steps: Steps between two states that are kept beside the newest; 0 keeps none.
        log_steps: Steps between two lines in the log.
    """

    steps: int
    schedule: RateSchedule
    accumulation: int = 1
    max_gradient_norm: float = 1.0
    max_gradient_value: float = math.inf
    ema_decay: float = 0.998
    save_seconds: float = 120
    save_steps: int = 0
    log_steps: int = 50


class Trainer:
    """Trains a network on a loss that is a function of the step.

    Attributes:
        network: What is trained; frozen parameters stay as they are.
        average: Moving average of the trainable parameters; None where none is kept.
        step: Updates done so far.
        losses: The loss of each of them.
    """

    def __init__(
        self,
        network: nn.Module,
        optimisers: Sequence[torch.optim.Optimizer],
        settings: LoopSettings,
        state_path: Path,
    ) -> None:
        self.network = network
        self.settings = settings
        self.step = 0
        self.losses: list[float] = []
        self._path = state_path
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._optimisers = tuple(optimisers)
        self._rates = [[float(group["lr"]) for group in one.param_groups] for one in optimisers]
        decay = settings.ema_decay
        self.average = ExponentialMovingAverage(self._parameters, decay) if decay > 0 else None
        self._recent: list[Mapping[str, float]] = []
        self._saved = 0  # step of the newest state on disk
        self._saved_at = self._logged_at = time.monotonic()

    def run(
        self,
        measure: Callable[[int], Measurement],
        *,
        until: int | None = None,
        on_save: Callable[[int], None] | None = None,
    ) -> None:
        """Train up to step ``until`` (the last one if None); see :meth:`updates`."""
        for _ in self.updates(measure, until=until, on_save=on_save):
            pass

    def updates(
        self,
        measure: Callable[[int], Measurement],
        *,
        until: int | None = None,
        on_save: Callable[[int], None] | None = None,
    ) -> Generator[float, None, None]:
        """Train one update at a time, saving at intervals and at the end; yields the loss of each.

        Args:
            measure: Loss and figures for the log; must depend on its number and the weights only. Numbers
                count losses, so that they are steps where nothing is accumulated.
            until: Stop before this step.
            on_save: Called with the step after each save while the network holds the averaged weights.

        Raises:
            TrainingError: The loss or its gradient is not finite; the last good state stays saved.
        """
        last = self.settings.steps if until is None else min(until, self.settings.steps)
        while self.step < last:
            loss = self._update(measure)
            self.step += 1
            self.losses.append(loss)
            self._log()
            if self.step == last or self._is_time_to_save():
                self.save()
                if on_save is not None:
                    with self.averaged():
                        on_save(self.step)
            yield loss

    def _update(self, measure: Callable[[int], Measurement]) -> float:
        parts = self.settings.accumulation
        total = 0.0
        for part in range(parts):
            loss, figures = measure(self.step * parts + part)
            if not math.isfinite(loss.item()):
                raise self._broken("loss", loss.item())
            (loss / parts).backward()
            total += loss.item() / parts
            self._recent.append({"loss": loss.item(), **figures})
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.max_gradient_norm)
        if not math.isfinite(norm.item()):
            if self.step:
                self.save()  # what the loss was finite with
            raise self._broken("gradient", norm.item())
        if math.isfinite(self.settings.max_gradient_value):
            torch.nn.utils.clip_grad_value_(self._parameters, self.settings.max_gradient_value)
        factor = self.settings.schedule.factor(self.step)
        for optimiser, rates in zip(self._optimisers, self._rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad()
        if self.average is not None:
            self.average.update()
        return total

    def averaged(self) -> AbstractContextManager[None]:
        """Let the network hold the averaged weights within the block, if there is an average."""
        return nullcontext() if self.average is None else self.average.applied()

    def save(self) -> None:
        """Write the whole state of the run, and once more if it is one to keep."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "losses": self.losses,
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        write_tensors(state, self._path)
        if self.settings.save_steps and self.step % self.settings.save_steps == 0:
            write_tensors(state, self.kept(self.step))
        self._saved, self._saved_at = self.step, time.monotonic()

    def kept(self, step: int) -> Path:
        """Where the state of a step is kept."""
        return self._path.with_stem(f"{self._path.stem}-{step:06d}")

    def resume(self, step: int | None = None) -> bool:
        """Go on from the newest state, or from the one kept of a step; returns whether there was one.

        Raises:
            TrainingError: The state belongs to a network of another shape.
        """
        path = self._path if step is None else self.kept(step)
        if not path.exists():
            return False
        state = torch.load(path, map_location="cpu", weights_only=True)
        try:
            self.network.load_state_dict(state["network"])
            for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            if self.average is not None:
                self.average.load_state_dict(state["average"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(f"{path} does not fit this recipe: {error}") from error
        self.step = self._saved = state["step"]
        self.losses = list(state.get("losses", ()))
        _LOG.info("continue from step %d", self.step)
        return True

    def _is_time_to_save(self) -> bool:
        kept = self.settings.save_steps
        return bool(kept and self.step % kept == 0) or (
            time.monotonic() - self._saved_at > self.settings.save_seconds
        )

    def _broken(self, what: str, value: float) -> TrainingError:
        kept = f"the state of step {self._saved} is kept" if self._saved else "no state had been saved yet"
        return TrainingError(
            f"The {what} became {value} at step {self.step}; {kept}. A lower learning rate may help."
        )

    def _log(self) -> None:
        if self.step % self.settings.log_steps:
            return
        seconds = (time.monotonic() - self._logged_at) / len(self._recent) * self.settings.accumulation
        names = self._recent[-1].keys()
        means = {name: float(np.mean([figures[name] for figures in self._recent])) for name in names}
        summary = " ".join(f"{name}={value:.4f}" for name, value in means.items())
        _LOG.info("step %d %.3f s/step %s", self.step, seconds, summary)
        self._recent.clear()
        self._logged_at = time.monotonic()
