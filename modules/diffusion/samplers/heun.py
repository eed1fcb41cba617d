"""Heun: the mean of the slopes at both ends of a step."""

from collections.abc import Generator

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import Answer, add_churn, evaluate, step_done, to_d
from modules.diffusion.sampling import Evaluate, Sampler, SamplerState

__all__ = ["heun_step", "sample_heun"]


def heun_step(
    x: Tensor, sigma: Tensor, sigma_next: Tensor
) -> Generator[Evaluate, Answer, tuple[Tensor, Tensor]]:
    """One step from ``sigma`` to ``sigma_next``; Euler's where that is 0.

    Returns:
        The latent at ``sigma_next``, and the denoised estimate at ``sigma``.
    """
    denoised = yield from evaluate(x, sigma)
    d, dt = to_d(x, sigma, denoised), sigma_next - sigma
    x_next = x + d * dt
    if sigma_next > 0:
        d_next = to_d(x_next, sigma_next, (yield from evaluate(x_next, sigma_next)))
        x_next = x + (d + d_next) / 2 * dt
    return x_next, denoised


def sample_heun(state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions) -> Sampler:
    """Heun's method with optional churn; second order. Source: Karras et al. 2022, algorithm 2."""
    x, steps = state.x, len(sigmas) - 1
    for i in range(state.step, steps):
        x, sigma_hat = add_churn(x, sigmas[i], steps, noise, options)
        x, denoised = yield from heun_step(x, sigma_hat, sigmas[i + 1])
        yield step_done(i + 1, x, denoised, noise)
    return x
