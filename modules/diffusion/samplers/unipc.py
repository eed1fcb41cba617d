"""UniPC: a multistep predictor whose corrector costs no further question.

Source: Zhao et al. 2023, "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion
Models", algorithms 5 to 8 and appendix C.
"""

from collections.abc import Generator
from dataclasses import dataclass
from math import factorial

import torch
from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions, UniPcOptions
from modules.diffusion.samplers.steps import Answer, evaluate_eps, step_done
from modules.diffusion.samplers.unipc_time import ContinuousTime
from modules.diffusion.sampling import EvaluateEps, Sampler, SamplerState

__all__ = ["sample_unipc"]


@dataclass(frozen=True)
class _Weights:
    """How much of each difference between x0 estimates goes into the predictor and into the corrector."""

    predictor: Tensor  # (order - 1,)
    corrector: Tensor  # (order,), the last for the estimate at the end of the step


def _bh_weights(ratios: Tensor, hh: Tensor, variant: str) -> _Weights:
    """Solve the order conditions with B(h) = h or e^h - 1 (the paper's eq. 5 and 9)."""
    order = len(ratios)
    b_h = hh if variant == "bh1" else torch.expm1(hh)
    phi = torch.expm1(hh) / hh - 1
    conditions = []
    for i in range(1, order + 1):
        conditions.append(phi * factorial(i) / b_h)
        phi = phi / hh - 1 / factorial(i + 1)
    rows = torch.stack([ratios ** (i - 1) for i in range(1, order + 1)])
    right = torch.stack(conditions)
    half = torch.tensor([0.5])  # the paper's choice where one unknown is left; within the order conditions
    predictor = half if order == 2 else torch.linalg.solve(rows[:-1, :-1], right[:-1])
    corrector = half if order == 1 else torch.linalg.solve(rows, right)
    return _Weights(b_h * predictor, b_h * corrector)


def _vary_weights(ratios: Tensor, hh: Tensor) -> _Weights:
    """Coefficients that vary with h (the paper's appendix C).

    The weight of the newest estimate takes only the highest phi, as in the authors' program.
    """
    order = len(ratios)
    columns = torch.stack([ratios**k / factorial(k + 1) for k in range(order)], dim=1)
    phis = [torch.expm1(hh)]
    for k in range(1, order + 1):
        phis.append(phis[-1] / hh - 1 / factorial(k))
    phi = torch.stack(phis)
    inverse = torch.linalg.inv(columns)
    predictor = phi[1:order] @ torch.linalg.inv(columns[:-1, :-1])
    newest = phi[order] * inverse[max(order - 2, 0), -1]
    return _Weights(predictor, torch.cat([phi[1:order] @ inverse[:-1, :-1], newest[None]]))


def _weights(options: UniPcOptions, ratios: Tensor, hh: Tensor) -> _Weights:
    if options.variant == "vary_coeff":
        return _vary_weights(ratios, hh)
    return _bh_weights(ratios, hh, options.variant)


def _evaluate_x0(x: Tensor, t: Tensor, time: ContinuousTime) -> Generator[EvaluateEps, Answer, Tensor]:
    """Ask for the x0 estimate of ``x`` at continuous time ``t``."""
    answer = yield from evaluate_eps(x, time.timestep(t))
    return (x - time.sigma(t) * answer.eps) / time.alpha(t)


def _order(step: int, steps: int, options: UniPcOptions) -> int:
    """Order of step 1, 2, ..., ``steps``: rises at the start and, if wished, falls at the end."""
    order = min(options.order, steps)
    if options.lower_order_final and step >= order:
        return min(order, steps + 1 - step)
    return min(order, step)


def _update(
    x: Tensor,
    history: tuple[Tensor, ...],
    times: Tensor,
    time: ContinuousTime,
    options: UniPcOptions,
    *,
    is_last: bool,
) -> Generator[EvaluateEps, Answer, tuple[Tensor, Tensor]]:
    """One step.

    Args:
        x: latent at times[1].
        history: x0 estimates at times[1], times[2], ..., as many as the order.
        times: the step's end, its start, and the starts of the steps before.
        time: the model's noise schedule in continuous time.
        options: settings.
        is_last: leave out the corrector, whose question only a further step would repay.

    Returns:
        Latent and x0 estimate at times[0].
    """
    lams = time.half_log_snr(times)
    h = lams[0] - lams[1]
    ratios = torch.cat([(lams[2:] - lams[1]) / h, torch.ones(1)])
    differences = [(x0 - history[0]) / r for x0, r in zip(history[1:], ratios[:-1], strict=True)]
    weights = _weights(options, ratios, -h)
    alpha = time.alpha(times[0])
    base = time.sigma(times[0]) / time.sigma(times[1]) * x - alpha * torch.expm1(-h) * history[0]

    x_next = base
    for weight, difference in zip(weights.predictor, differences, strict=True):
        x_next = x_next - alpha * weight * difference
    if is_last:
        return x_next, history[0]
    x0 = yield from _evaluate_x0(x_next, times[0], time)
    x_next = base
    for weight, difference in zip(weights.corrector, [*differences, x0 - history[0]], strict=True):
        x_next = x_next - alpha * weight * difference
    return x_next, x0


def sample_unipc(state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions) -> Sampler:
    """As many steps as ``sigmas`` holds timesteps; from a picture, its last one is where it starts."""
    time = ContinuousTime(options.schedule)
    steps = len(sigmas)
    if steps == 0:
        return state.x
    start = time.of_timestep(sigmas[-1]) if options.from_latent else 1.0
    times = time.divide(options.unipc.skip_type, start, steps)
    x, history = state.x, state.history
    if not history:
        history = ((yield from _evaluate_x0(x, times[0], time)),)
    for step in range(state.step + 1, steps + 1):
        order = _order(step, steps, options.unipc)
        past = times[max(step - order, 0) : step + 1].flip(0)
        x, x0 = yield from _update(x, history[:order], past, time, options.unipc, is_last=step == steps)
        history = (x0, *history)[: options.unipc.order]
        yield step_done(step, x, x0, noise, history=history)
    return x
