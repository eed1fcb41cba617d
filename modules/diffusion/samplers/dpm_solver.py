"""DPM-Solver's singlestep updates of order 1, 2 and 3, shared by DPM fast and DPM adaptive.

Time runs in lambda (half the log signal-to-noise ratio); ``eps`` is the noise estimate at its start.

Source: Lu et al. 2022, "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around
10 Steps", algorithms 1, 2 and 4.
"""

from collections.abc import Generator

from torch import Tensor

from modules.diffusion.samplers.steps import Answer, evaluate, sigma_at, to_d
from modules.diffusion.sampling import Evaluate

__all__ = ["evaluate_eps_at", "first_order", "second_order", "third_order"]


def evaluate_eps_at(x: Tensor, lam: Tensor) -> Generator[Evaluate, Answer, tuple[Tensor, Tensor]]:
    """Ask for the noise estimate at ``lam``; also returns the denoised estimate."""
    sigma = sigma_at(lam)
    denoised = yield from evaluate(x, sigma)
    return to_d(x, sigma, denoised), denoised


def first_order(x: Tensor, lam: Tensor, h: Tensor, eps: Tensor) -> Tensor:
    """DPM-Solver-1 (which is DDIM): a step of ``h`` that ends at ``lam``."""
    return x - sigma_at(lam) * h.expm1() * eps


def second_order(
    x: Tensor, lam: Tensor, lam_next: Tensor, eps: Tensor, *, r1: float
) -> Generator[Evaluate, Answer, tuple[Tensor, Tensor]]:
    """DPM-Solver-2 with its inner point at the part ``r1`` of the step.

    Returns:
        The latent at ``lam_next``, and the noise estimate at the inner point.
    """
    h = lam_next - lam
    lam_1 = lam + r1 * h
    eps_1, _ = yield from evaluate_eps_at(first_order(x, lam_1, r1 * h, eps), lam_1)
    slope = sigma_at(lam_next) / (2 * r1) * h.expm1() * (eps_1 - eps)
    return first_order(x, lam_next, h, eps) - slope, eps_1


def third_order(
    x: Tensor, lam: Tensor, lam_next: Tensor, eps: Tensor, *, eps_1: Tensor | None = None
) -> Generator[Evaluate, Answer, Tensor]:
    """DPM-Solver-3 with inner points at 1/3 (whose noise ``eps_1`` may be known already) and 2/3."""
    r1, r2 = 1 / 3, 2 / 3
    h = lam_next - lam
    lam_1, lam_2 = lam + r1 * h, lam + r2 * h
    if eps_1 is None:
        eps_1, _ = yield from evaluate_eps_at(first_order(x, lam_1, r1 * h, eps), lam_1)
    slope = sigma_at(lam_2) * (r2 / r1) * ((r2 * h).expm1() / (r2 * h) - 1) * (eps_1 - eps)
    eps_2, _ = yield from evaluate_eps_at(first_order(x, lam_2, r2 * h, eps) - slope, lam_2)
    slope = sigma_at(lam_next) / r2 * (h.expm1() / h - 1) * (eps_2 - eps)
    return first_order(x, lam_next, h, eps) - slope
