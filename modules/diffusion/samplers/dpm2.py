"""DPM2 and DPM2 a: the slope at the middle (in log sigma) of a step."""

from collections.abc import Generator

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import Answer, add_churn, ancestral_step, evaluate, step_done, to_d
from modules.diffusion.sampling import Evaluate, Sampler, SamplerState

__all__ = ["sample_dpm2", "sample_dpm2_ancestral"]


def _midpoint_step(
    x: Tensor, sigma: Tensor, sigma_next: Tensor
) -> Generator[Evaluate, Answer, tuple[Tensor, Tensor]]:
    """The latent at ``sigma_next`` and the denoised estimate at ``sigma``; Euler's step where that is 0."""
    denoised = yield from evaluate(x, sigma)
    d = to_d(x, sigma, denoised)
    if sigma_next > 0:
        sigma_mid = sigma.log().lerp(sigma_next.log(), 0.5).exp()
        x_mid = x + d * (sigma_mid - sigma)
        d = to_d(x_mid, sigma_mid, (yield from evaluate(x_mid, sigma_mid)))
    return x + d * (sigma_next - sigma), denoised


def sample_dpm2(state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions) -> Sampler:
    """The midpoint method with optional churn; second order.

    Source: Karras et al. 2022, appendix E, with the midpoint of Lu et al. 2022, "DPM-Solver", algorithm 1.
    """
    x, steps = state.x, len(sigmas) - 1
    for i in range(state.step, steps):
        x, sigma_hat = add_churn(x, sigmas[i], steps, noise, options)
        x, denoised = yield from _midpoint_step(x, sigma_hat, sigmas[i + 1])
        yield step_done(i + 1, x, denoised, noise)
    return x


def sample_dpm2_ancestral(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """The midpoint method down to the ancestral step's lower noise level, then fresh noise."""
    x = state.x
    for i in range(state.step, len(sigmas) - 1):
        sigma_down, sigma_up = ancestral_step(sigmas[i], sigmas[i + 1], options.eta)
        x, denoised = yield from _midpoint_step(x, sigmas[i], sigma_down)
        if sigma_down > 0:
            x = x + noise.next() * options.s_noise * sigma_up
        yield step_done(i + 1, x, denoised, noise)
    return x
