"""DPM adaptive: DPM-Solver that chooses its steps by an error estimate."""

from math import atan, isfinite

import torch
from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.dpm_fast import ancestral_lambda
from modules.diffusion.samplers.dpm_solver import evaluate_eps_at, second_order, third_order
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import half_log_snr, step_done
from modules.diffusion.sampling import Sampler, SamplerState
from modules.exceptions import NumericalError

__all__ = ["sample_dpm_adaptive"]

RELATIVE_TOLERANCE = 0.05
ABSOLUTE_TOLERANCE = 0.0078  # one level of an 8-bit picture; Jolicoeur-Martineau et al. 2021, section 3.2
FIRST_STEP = 0.05  # in lambda
ACCEPT_SAFETY = 0.81
CLOSE_ENOUGH = 1e-5  # in lambda; float32 cannot end nearer


def _relative_error(low: Tensor, high: Tensor, before: Tensor) -> float:
    """How far two orders' results lie apart, in units of the tolerance; at most about 1 is good."""
    tolerance = torch.maximum(low.abs(), before.abs()).mul(RELATIVE_TOLERANCE).clamp(min=ABSOLUTE_TOLERANCE)
    return (torch.linalg.vector_norm((low - high) / tolerance) / low.numel() ** 0.5).item()


def sample_dpm_adaptive(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """Order 3 with an embedded order 2 over ``options.sigma_range``; an empty ``sigmas`` means none.

    A step is repeated, shorter, until its error is small enough; noise is drawn for accepted steps only. Ends
    at the lowest noise level. The error is the image's own, never a batch's.

    Raises:
        NumericalError: the error estimate is not a number.

    Source: Lu et al. 2022, "DPM-Solver", appendix C ("DPM-Solver-12 and -23"), with an integral step size
    controller (Söderlind 2003, "Digital Filters in Adaptive Time-Stepping").
    """
    x, (sigma_min, sigma_max) = state.x, options.sigma_range
    lam_start, lam_end = half_log_snr(torch.tensor(sigma_max)), half_log_snr(torch.tensor(sigma_min))
    if len(sigmas) == 0:
        return x
    if lam_end <= lam_start:
        _, x = yield from evaluate_eps_at(x, lam_start)
        return x
    before = state.history[0] if state.history else x
    lam_now, h = state.scalars or (lam_start.item(), FIRST_STEP)
    step, lam = state.step, torch.tensor(lam_now)
    order = 1.5 if options.eta else 3  # of the error; noise makes it a half less than two
    while lam < lam_end - CLOSE_ENOUGH:
        lam_next = torch.minimum(lam_end, lam + h)
        lam_down, sigma_up = ancestral_lambda(lam, lam_next, lam_end, options.eta)
        eps, denoised = yield from evaluate_eps_at(x, lam)
        low, eps_1 = yield from second_order(x, lam, lam_down, eps, r1=1 / 3)
        high = yield from third_order(x, lam, lam_down, eps, eps_1=eps_1)
        error = _relative_error(low, high, before)
        if not isfinite(error):
            raise NumericalError("sampler", "DPM adaptive: the network returned values that are not numbers.")
        factor = 1 + atan((1 / (error + 1e-8)) ** (1 / order) - 1)
        h *= factor
        if factor >= ACCEPT_SAFETY:
            x, before = high + sigma_up * options.s_noise * noise.next(), low
            lam, step = lam_next, step + 1
            yield step_done(step, x, denoised, noise, history=(before,), scalars=(lam.item(), h))
    return x
