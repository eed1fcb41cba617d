"""DPM fast: DPM-Solver with as many third-order steps as a fixed number of questions allows."""

from collections.abc import Generator

import torch
from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.dpm_solver import evaluate_eps_at, first_order, second_order, third_order
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import Answer, ancestral_step, half_log_snr, sigma_at, step_done
from modules.diffusion.sampling import Evaluate, Sampler, SamplerState

__all__ = ["ancestral_lambda", "sample_dpm_fast"]


def ancestral_lambda(lam: Tensor, lam_next: Tensor, lam_end: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """An ancestral step in lambda: where the deterministic part ends, and the noise that leads back."""
    if eta == 0:
        return lam_next, torch.zeros_like(lam)
    sigma_down, _ = ancestral_step(sigma_at(lam), sigma_at(lam_next), eta)
    lam_down = torch.minimum(lam_end, half_log_snr(sigma_down))
    return lam_down, (sigma_at(lam_next) ** 2 - sigma_at(lam_down) ** 2).clamp(min=0) ** 0.5


def _orders(questions: int) -> list[int]:
    """How the questions are spent: threes, and what is left over at the end."""
    threes, rest = divmod(questions, 3)
    return [3] * (threes - 1) + [2, 1] if rest == 0 else [3] * threes + [rest]


def _solve(
    x: Tensor, lam: Tensor, lam_next: Tensor, eps: Tensor, order: int
) -> Generator[Evaluate, Answer, Tensor]:
    """One step of the given order."""
    if order == 1:
        return first_order(x, lam_next, lam_next - lam, eps)
    if order == 2:
        x_next, _ = yield from second_order(x, lam, lam_next, eps, r1=1 / 2)
        return x_next
    return (yield from third_order(x, lam, lam_next, eps))


def sample_dpm_fast(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """Even steps in lambda over ``options.sigma_range``; an empty ``sigmas`` means none.

    Ends at the lowest noise level, not at 0; always draws. Where the range is empty (image to image with very
    little denoising) the picture is denoised once.

    Source: Lu et al. 2022, "DPM-Solver", section 3.4 ("DPM-Solver-fast").
    """
    x, (sigma_min, sigma_max) = state.x, options.sigma_range
    lam_start, lam_end = half_log_snr(torch.tensor(sigma_max)), half_log_snr(torch.tensor(sigma_min))
    if len(sigmas) == 0:
        return x
    if lam_end <= lam_start:
        _, x = yield from evaluate_eps_at(x, lam_start)
        return x
    orders = _orders(options.steps)
    lams = torch.linspace(lam_start.item(), lam_end.item(), len(orders) + 1)
    for i in range(state.step, len(orders)):
        lam, lam_next = lams[i], lams[i + 1]
        lam_down, sigma_up = ancestral_lambda(lam, lam_next, lam_end, options.eta)
        eps, denoised = yield from evaluate_eps_at(x, lam)
        x = yield from _solve(x, lam, lam_down, eps, orders[i])
        x = x + sigma_up * options.s_noise * noise.next()
        yield step_done(i + 1, x, denoised, noise)
    return x
