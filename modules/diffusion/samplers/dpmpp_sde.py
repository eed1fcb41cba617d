"""DPM++ SDE: the second-order singlestep solver of the diffusion SDE."""

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

__all__ = ["sample_dpmpp_sde"]


def sample_dpmpp_sde(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """Two ancestral exponential steps from the same start: to the middle, then with its slope to the end.

    Source: Lu et al. 2022, "DPM-Solver++", section 5 and algorithm 1 with r = 1/2.
    """
    x, brownian = state.x, noise.brownian(*options.brownian_range)
    for i in range(state.step, len(sigmas) - 1):
        denoised = yield from evaluate(x, sigmas[i])
        if sigmas[i + 1] == 0:
            x = x + to_d(x, sigmas[i], denoised) * (sigmas[i + 1] - sigmas[i])
        else:
            lam, lam_next = half_log_snr(sigmas[i]), half_log_snr(sigmas[i + 1])
            sigma, sigma_next = sigma_at(lam), sigma_at(lam_next)
            sigma_mid = sigma_at(lam + (lam_next - lam) / 2)

            sigma_down, sigma_up = ancestral_step(sigma, sigma_mid, options.eta)
            lam_down = half_log_snr(sigma_down)
            x_mid = sigma_at(lam_down) / sigma * x - (lam - lam_down).expm1() * denoised
            x_mid = x_mid + brownian(sigma, sigma_mid) * options.s_noise * sigma_up
            denoised_mid = yield from evaluate(x_mid, sigma_mid)

            sigma_down, sigma_up = ancestral_step(sigma, sigma_next, options.eta)
            lam_down = half_log_snr(sigma_down)
            x = sigma_at(lam_down) / sigma * x - (lam - lam_down).expm1() * denoised_mid
            x = x + brownian(sigma, sigma_next) * options.s_noise * sigma_up
        yield step_done(i + 1, x, denoised, noise)
    return x
