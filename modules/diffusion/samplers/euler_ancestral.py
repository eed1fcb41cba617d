"""Euler a: Euler's method that replaces part of the noise at each step."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import ancestral_step, evaluate, step_done, to_d
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_euler_ancestral"]


def sample_euler_ancestral(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """Ancestral sampling in terms of sigma; does not converge to one picture as steps grow.

    Source: Song et al. 2020, "Score-Based Generative Modeling through SDEs", appendix F.
    """
    x = state.x
    for i in range(state.step, len(sigmas) - 1):
        denoised = yield from evaluate(x, sigmas[i])
        sigma_down, sigma_up = ancestral_step(sigmas[i], sigmas[i + 1], options.eta)
        x = x + to_d(x, sigmas[i], denoised) * (sigma_down - sigmas[i])
        if sigmas[i + 1] > 0:
            x = x + noise.next() * sigma_up
        yield step_done(i + 1, x, denoised, noise)
    return x
