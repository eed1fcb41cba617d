"""The training loop: loss, gradient, update, average, save; and going on exactly where it stopped.

Everything random in a step is drawn from generators seeded with (seed, step), see :func:`step_generator`.
So the state of a run is its step, weights, optimisers and average; a run that was killed and
continued ends with the same bits as one that was not.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from modules.exceptions import TrainingError
from modules.training.ema import ExponentialMovingAverage
from modules.training.optimisers import LearningRateSchedule, build_optimisers, scale_learning_rates

__all__ = ["LoopSettings", "Measurement", "Trainer", "numpy_generator", "step_generator", "write_tensors"]

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


@dataclass(frozen=True)
class LoopSettings:
    """How a run goes, apart from what it learns.

    Attributes:
        steps: Updates in all.
        adam_rate: Learning rate of AdamW.
        muon_rate: Learning rate of Muon.
        weight_decay: Decoupled weight decay of both.
        schedule: Factor on both rates over time.
        max_gradient_norm: Gradients are scaled down to this norm.
        ema_decay: Largest decay of the average.
        save_seconds: Time between two saves of the whole state.
        log_steps: Steps between two lines in the log.
    """

    steps: int
    adam_rate: float
    muon_rate: float
    weight_decay: float
    schedule: LearningRateSchedule
    max_gradient_norm: float = 1.0
    ema_decay: float = 0.998
    save_seconds: float = 120
    log_steps: int = 50


class Trainer:
    """Trains a network on a loss that is a function of the step.

    Attributes:
        network: What is trained; frozen parameters stay as they are.
        average: Moving average of the trainable parameters.
        step: Updates done so far.
    """

    def __init__(self, network: nn.Module, settings: LoopSettings, state_path: Path) -> None:
        self.network = network
        self.settings = settings
        self.step = 0
        self._path = state_path
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._optimisers = build_optimisers(
            network,
            adam_rate=settings.adam_rate,
            muon_rate=settings.muon_rate,
            weight_decay=settings.weight_decay,
        )
        self.average = ExponentialMovingAverage(self._parameters, settings.ema_decay)
        self._recent: list[Mapping[str, float]] = []

    def save(self) -> None:
        """Write the whole state of the run."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "average": self.average.state_dict(),
        }
        write_tensors(state, self._path)

    def resume(self) -> bool:
        """Go on from the saved state; returns whether there was one.

        Raises:
            TrainingError: The state belongs to a network of another shape.
        """
        if not self._path.exists():
            return False
        state = torch.load(self._path, weights_only=True)
        try:
            self.network.load_state_dict(state["network"])
            for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            self.average.load_state_dict(state["average"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(f"{self._path} does not fit this recipe: {error}") from error
        self._restore_base_rates()
        self.step = state["step"]
        _LOG.info("continue from step %d", self.step)
        return True

    def _restore_base_rates(self) -> None:
        rates = (self.settings.adam_rate, self.settings.muon_rate)
        for optimiser, rate in zip(self._optimisers, rates, strict=True):
            for group in optimiser.param_groups:
                group["base_lr"] = rate

    def run(
        self,
        measure: Callable[[int], Measurement],
        *,
        until: int | None = None,
        on_save: Callable[[int], None] | None = None,
    ) -> None:
        """Train up to step ``until`` (the last one if None), saving at intervals and at the end.

        Args:
            measure: Loss of a step and figures for the log; must depend on the step and the weights only.
            until: Stop before this step.
            on_save: Called with the step after each save while the network holds the averaged weights.

        Raises:
            TrainingError: The loss is not finite; the last good state stays saved.
        """
        last = self.settings.steps if until is None else min(until, self.settings.steps)
        saved_at = logged_at = time.monotonic()
        while self.step < last:
            self._recent.append(self._update(measure))
            self.step += 1
            if self.step % self.settings.log_steps == 0:
                seconds = (time.monotonic() - logged_at) / len(self._recent)
                _LOG.info("step %d %.3f s/step %s", self.step, seconds, self._summary())
                logged_at = time.monotonic()
            if self.step == last or time.monotonic() - saved_at > self.settings.save_seconds:
                self.save()
                if on_save is not None:
                    with self.average.applied():
                        on_save(self.step)
                saved_at = time.monotonic()

    def _update(self, measure: Callable[[int], Measurement]) -> Mapping[str, float]:
        loss, figures = measure(self.step)
        if not math.isfinite(loss.item()):
            raise TrainingError(f"The loss became {loss.item()} at step {self.step}; the last state is kept.")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.max_gradient_norm)
        scale_learning_rates(self._optimisers, self.settings.schedule.factor(self.step))
        for optimiser in self._optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self.average.update()
        return {"loss": loss.item(), **figures}

    def _summary(self) -> str:
        names = self._recent[-1].keys()
        means = {name: float(np.mean([figures[name] for figures in self._recent])) for name in names}
        self._recent.clear()
        return " ".join(f"{name}={value:.4f}" for name, value in means.items())
