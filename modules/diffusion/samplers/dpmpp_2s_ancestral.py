"""DPM++ 2S a: the second-order singlestep DPM-Solver++ with ancestral noise."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import (
    ancestral_step,
    evaluate,
    half_log_snr,
    sigma_at,
    step_done,
    to_d,
)
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_dpmpp_2s_ancestral"]


def sample_dpmpp_2s_ancestral(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """The exponential midpoint method down to ``sigma_down``, then fresh noise.

    Source: Lu et al. 2022, "DPM-Solver++", algorithm 1 with r = 1/2.
    """
    x = state.x
    for i in range(state.step, len(sigmas) - 1):
        denoised = yield from evaluate(x, sigmas[i])
        sigma_down, sigma_up = ancestral_step(sigmas[i], sigmas[i + 1], options.eta)
        if sigma_down == 0:
            x = x + to_d(x, sigmas[i], denoised) * (sigma_down - sigmas[i])
        else:
            lam, lam_down = half_log_snr(sigmas[i]), half_log_snr(sigma_down)
            h = lam_down - lam
            sigma, sigma_mid = sigma_at(lam), sigma_at(lam + h / 2)
            x_mid = sigma_mid / sigma * x - (-h / 2).expm1() * denoised
            denoised_mid = yield from evaluate(x_mid, sigma_mid)
            x = sigma_at(lam_down) / sigma * x - (-h).expm1() * denoised_mid
        if sigmas[i + 1] > 0:
            x = x + noise.next() * options.s_noise * sigma_up
        yield step_done(i + 1, x, denoised, noise)
    return x
