"""LMS: the Adams-Bashforth linear multistep method over uneven noise levels."""

import numpy as np
from numpy.polynomial import Polynomial
from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import evaluate, step_done, to_d
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_lms"]

ORDER = 4


def _multistep_coefficient(sigmas: Tensor, order: int, i: int, j: int) -> float:
    """Integral over step ``i`` of the Lagrange basis polynomial that belongs to the slope ``j`` steps ago."""
    t = sigmas.double().numpy()
    basis = Polynomial([1.0])
    for k in range(order):
        if k != j:
            basis *= Polynomial([-t[i - k], 1.0]) / (t[i - j] - t[i - k])
    integral = basis.integ()
    return float(np.subtract(integral(t[i + 1]), integral(t[i])))


def sample_lms(state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions) -> Sampler:
    """Extrapolates the last four slopes by a polynomial; fourth order.

    Source: Liu et al. 2022, "Pseudo Numerical Methods for Diffusion Models", section 3.3, generalised to
    uneven steps (Hairer et al., "Solving Ordinary Differential Equations I", section III.5).
    """
    x, slopes = state.x, state.history
    for i in range(state.step, len(sigmas) - 1):
        denoised = yield from evaluate(x, sigmas[i])
        slopes = (to_d(x, sigmas[i], denoised), *slopes)[:ORDER]
        for j, d in enumerate(slopes):
            x = x + d * _multistep_coefficient(sigmas, len(slopes), i, j)
        yield step_done(i + 1, x, denoised, noise, history=slopes)
    return x
