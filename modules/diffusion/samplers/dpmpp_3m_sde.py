"""DPM++ 3M SDE: the third-order multistep solver of the diffusion SDE."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import evaluate, half_log_snr, step_done
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_dpmpp_3m_sde"]


def _correction(denoised: Tensor, history: tuple[Tensor, ...], lams: Tensor, h_eta: Tensor) -> Tensor:
    """Second- and third-order terms.

    Args:
        denoised: the newest estimate.
        history: the one or two before it, newest first.
        lams: lambdas of the next noise level, the current one, and those of ``history``.
        h_eta: (1 + eta) times the step.
    """
    h = lams[0] - lams[1]
    phi_2 = h_eta.neg().expm1() / h_eta + 1
    r0 = (lams[1] - lams[2]) / h
    slope = (denoised - history[0]) / r0
    if len(history) == 1:
        return phi_2 * slope
    r1 = (lams[2] - lams[3]) / h
    slope_before = (history[0] - history[1]) / r1
    d1 = slope + (slope - slope_before) * r0 / (r0 + r1)
    d2 = (slope - slope_before) / (r0 + r1)
    phi_3 = phi_2 / h_eta - 0.5
    return phi_2 * d1 - phi_3 * d2


def sample_dpmpp_3m_sde(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """Extrapolates the denoised latent from the last three.

    Source: Lu et al. 2022, "DPM-Solver++", section 5, extended to third order with the exponential
    integrator's phi functions (Hochbruck & Ostermann 2010, "Exponential integrators", section 2).
    """
    x, history, eta = state.x, state.history, options.eta
    brownian = noise.brownian(*options.brownian_range)
    for i in range(state.step, len(sigmas) - 1):
        denoised = yield from evaluate(x, sigmas[i])
        if sigmas[i + 1] == 0:
            x = denoised
        else:
            lams = half_log_snr(sigmas[max(i - 2, 0) : i + 2].flip(0))
            h = lams[0] - lams[1]
            h_eta = h * (eta + 1)
            x = (-h_eta).exp() * x + (-h_eta).expm1().neg() * denoised
            if history:
                x = x + _correction(denoised, history, lams, h_eta)
            if eta:
                fresh = (-2 * h * eta).expm1().neg().sqrt()
                x = x + brownian(sigmas[i], sigmas[i + 1]) * sigmas[i + 1] * fresh * options.s_noise
        history = (denoised, *history)[:2]
        yield step_done(i + 1, x, denoised, noise, history=history)
    return x
