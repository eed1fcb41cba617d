"""The protocol between a sampler and whoever drives it.

A sampler is a generator. It yields :class:`Evaluate` (or :class:`EvaluateEps`) and is sent the
network's answer; after each step it yields :class:`StepDone` with a :class:`SamplerState` from which
it can be started again, bit for bit. It knows nothing of prompts, guidance, devices or progress bars.
"""

from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Evaluate", "EvaluateEps", "GuidedEps", "Sampler", "SamplerState", "StepDone"]


@dataclass(frozen=True)
class SamplerState:
    """All that is needed to go on after a step.

    Attributes:
        x: the latent, (1, C, h, w) float32.
        step: number of finished steps.
        history: tensors a multistep method remembers, newest first.
        scalars: numbers an adaptive method remembers.
        draws: how often the image's noise source has been asked (its position).
    """

    x: Tensor
    step: int = 0
    history: tuple[Tensor, ...] = ()
    scalars: tuple[float, ...] = ()
    draws: int = 0


@dataclass(frozen=True)
class Evaluate:
    """Ask for the denoised latent (x0) of ``x`` at noise level ``sigma`` (0-dim float32, CPU).

    ``timestep`` (0-dim) is set where the network must be told another time than the schedule's for ``sigma``.
    """

    x: Tensor
    sigma: Tensor
    timestep: Tensor | None = None


@dataclass(frozen=True)
class EvaluateEps:
    """Ask for the noise in ``x`` at ``timestep`` (0-dim, 0..999, may be fractional); timestep samplers.

    The answer is :class:`GuidedEps`.
    """

    x: Tensor
    timestep: Tensor


@dataclass(frozen=True)
class GuidedEps:
    """Answer to :class:`EvaluateEps`: noise after guidance, and the unconditional noise."""

    eps: Tensor
    uncond: Tensor


@dataclass(frozen=True)
class StepDone:
    """A step has ended. ``denoised`` is the latest x0 estimate, (1, C, h, w), for previews."""

    state: SamplerState
    denoised: Tensor


Sampler = Generator[Evaluate | EvaluateEps | StepDone, Tensor | GuidedEps | None, Tensor]
"""Yields requests, is sent answers (None after StepDone), returns the final latent."""
