"""DPM++ 2M: the second-order multistep DPM-Solver++."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import evaluate, half_log_snr, sigma_at, step_done
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_dpmpp_2m"]


def sample_dpmpp_2m(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """Extrapolates the denoised latent from the last two; first order in the first and the last step.

    Source: Lu et al. 2022, "DPM-Solver++", algorithm 2.
    """
    x, history = state.x, state.history
    for i in range(state.step, len(sigmas) - 1):
        denoised = yield from evaluate(x, sigmas[i])
        lam, lam_next = half_log_snr(sigmas[i]), half_log_snr(sigmas[i + 1])
        h = lam_next - lam
        extrapolated = denoised
        if history and sigmas[i + 1] > 0:
            r = (lam - half_log_snr(sigmas[i - 1])) / h
            extrapolated = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * history[0]
        x = sigma_at(lam_next) / sigma_at(lam) * x - (-h).expm1() * extrapolated
        history = (denoised,)
        yield step_done(i + 1, x, denoised, noise, history=history)
    return x
