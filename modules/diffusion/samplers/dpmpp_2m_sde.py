"""DPM++ 2M SDE and DPM++ 2M SDE Heun: the second-order multistep solver of the diffusion SDE."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import evaluate, half_log_snr, step_done
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_dpmpp_2m_sde", "sample_dpmpp_2m_sde_heun"]


def _sample(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions, *, heun: bool
) -> Sampler:
    """Both variants: they differ only in the weight of the second-order term."""
    x, history, eta = state.x, state.history, options.eta
    brownian = noise.brownian(*options.brownian_range)
    for i in range(state.step, len(sigmas) - 1):
        denoised = yield from evaluate(x, sigmas[i])
        if sigmas[i + 1] == 0:
            x = denoised
        else:
            lam = half_log_snr(sigmas[i])
            h = half_log_snr(sigmas[i + 1]) - lam
            decay = (-h - eta * h).expm1().neg()  # 1 - exp(-(1 + eta) h)
            x = sigmas[i + 1] / sigmas[i] * (-eta * h).exp() * x + decay * denoised
            if history:
                r = (lam - half_log_snr(sigmas[i - 1])) / h
                weight = decay / (-h - eta * h) + 1 if heun else 0.5 * decay
                x = x + weight * (1 / r) * (denoised - history[0])
            if eta:
                fresh = (-2 * eta * h).expm1().neg().sqrt()
                x = x + brownian(sigmas[i], sigmas[i + 1]) * sigmas[i + 1] * fresh * options.s_noise
        history = (denoised,)
        yield step_done(i + 1, x, denoised, noise, history=history)
    return x


def sample_dpmpp_2m_sde(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """With the midpoint rule. Source: Lu et al. 2022, "DPM-Solver++", section 5 and appendix."""
    return _sample(state, sigmas, noise, options, heun=False)


def sample_dpmpp_2m_sde_heun(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """With Heun's rule. Source: Lu et al. 2022, "DPM-Solver++", section 5 and appendix."""
    return _sample(state, sigmas, noise, options, heun=True)
