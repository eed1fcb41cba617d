"""What samplers share, in the field's words.

``lam`` stands for lambda, half the log signal-to-noise ratio: -log sigma.
"""

from collections.abc import Generator
from math import sqrt

import torch
from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.sampling import Evaluate, EvaluateEps, GuidedEps, SamplerState, StepDone

__all__ = [
    "add_churn",
    "ancestral_step",
    "evaluate",
    "evaluate_eps",
    "half_log_snr",
    "sigma_at",
    "step_done",
    "to_d",
]

Answer = Tensor | GuidedEps | None
MAX_GAMMA = sqrt(2) - 1  # Karras et al. 2022, algorithm 2


def evaluate(x: Tensor, sigma: Tensor, timestep: Tensor | None = None) -> Generator[Evaluate, Answer, Tensor]:
    """Ask for the denoised latent of ``x``; use with ``yield from``."""
    answer = yield Evaluate(x, sigma, timestep)
    if not isinstance(answer, Tensor):
        raise TypeError(f"a sampler asked for a denoised latent and was sent {type(answer).__name__}")
    return answer


def evaluate_eps(x: Tensor, timestep: Tensor) -> Generator[EvaluateEps, Answer, GuidedEps]:
    """Ask for the noise in ``x``; use with ``yield from``."""
    answer = yield EvaluateEps(x, timestep)
    if not isinstance(answer, GuidedEps):
        raise TypeError(f"a sampler asked for guided noise and was sent {type(answer).__name__}")
    return answer


def step_done(
    step: int,
    x: Tensor,
    denoised: Tensor,
    noise: NoiseSource,
    *,
    history: tuple[Tensor, ...] = (),
    scalars: tuple[float, ...] = (),
) -> StepDone:
    """The end of a step, with all that is needed to go on from it."""
    return StepDone(SamplerState(x, step, history, scalars, noise.draws), denoised)


def to_d(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """The derivative dx/dsigma of the probability flow ODE. Source: Karras et al. 2022, eq. 3."""
    return (x - denoised) / sigma


def ancestral_step(sigma: Tensor, sigma_next: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Split a step into a deterministic part down to ``sigma_down`` and fresh noise ``sigma_up``.

    Source: Song et al. 2020, "Denoising Diffusion Implicit Models", eq. 16, in terms of sigma.
    """
    if eta == 0:
        return sigma_next, torch.zeros_like(sigma_next)
    posterior = (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2) ** 0.5
    sigma_up = torch.minimum(sigma_next, eta * posterior)
    return (sigma_next**2 - sigma_up**2) ** 0.5, sigma_up


def add_churn(
    x: Tensor, sigma: Tensor, steps: int, noise: NoiseSource, options: SamplerOptions
) -> tuple[Tensor, Tensor]:
    """Raise ``x`` to a slightly higher noise level. Always draws, so that churn 0 keeps the stream in step.

    Returns:
        The noisier latent and its noise level.

    Source: Karras et al. 2022, algorithm 2, lines 4 to 6.
    """
    gamma = 0.0
    if options.s_tmin <= sigma <= options.churn_ceiling:
        gamma = min(options.s_churn / steps, MAX_GAMMA)
    eps = noise.next() * options.s_noise
    sigma_hat = sigma * (gamma + 1)
    if gamma > 0:
        x = x + eps * (sigma_hat**2 - sigma**2) ** 0.5
    return x, sigma_hat


def half_log_snr(sigma: Tensor) -> Tensor:
    """Lambda of a noise level; infinite at 0. Source: Lu et al. 2022, "DPM-Solver", section 3.1."""
    return -sigma.log()


def sigma_at(lam: Tensor) -> Tensor:
    """The noise level of a lambda."""
    return (-lam).exp()
