"""Euler: one slope a step."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import add_churn, evaluate, step_done, to_d
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_euler"]


def sample_euler(state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions) -> Sampler:
    """Euler's method with optional churn; first order. Source: Karras et al. 2022, algorithm 2."""
    x, steps = state.x, len(sigmas) - 1
    for i in range(state.step, steps):
        x, sigma_hat = add_churn(x, sigmas[i], steps, noise, options)
        denoised = yield from evaluate(x, sigma_hat)
        x = x + to_d(x, sigma_hat, denoised) * (sigmas[i + 1] - sigma_hat)
        yield step_done(i + 1, x, denoised, noise)
    return x
