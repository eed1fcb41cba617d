"""The twelve schedules: which noise levels a sampler visits on its way from noise to picture.

A schedule is a function of the number of steps n and the model's range of noise levels; it returns a
decreasing list that ends in 0, n + 1 long unless its docstring says otherwise. All computing is on the CPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, log

import numpy as np
import torch
from torch import Tensor

from modules.diffusion.schedule import NoiseSchedule
from modules.exceptions import NotFoundError, RequestError

__all__ = [
    "ALIGN_YOUR_STEPS",
    "SCHEDULERS",
    "Scheduler",
    "SchedulerOptions",
    "build_sigmas",
    "find_scheduler",
    "karras_sigmas",
]

OLD_KARRAS_RANGE = (0.1, 10.0)  # what the first web UIs with Karras sigmas used for every model

# Sabour et al. 2024, "Align Your Steps", the published ten-step tables; SD2 uses SD1's.
ALIGN_YOUR_STEPS = {
    "sd1": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}


@dataclass(frozen=True)
class SchedulerOptions:
    """Settings that bend a schedule; 0 always means "the schedule's or the model's own".

    Attributes:
        sigma_min: lowest positive noise level.
        sigma_max: highest noise level.
        rho: curvature of Karras and Polyexponential.
        beta_alpha: first parameter of the beta distribution (Beta).
        beta_beta: second parameter of the beta distribution (Beta).
        old_karras_sigmas: start from the range 0.1 to 10 instead of the model's.
        quantize: map noise levels to whole timesteps only.
    """

    sigma_min: float = 0.0
    sigma_max: float = 0.0
    rho: float = 0.0
    beta_alpha: float = 0.6
    beta_beta: float = 0.6
    old_karras_sigmas: bool = False
    quantize: bool = False


@dataclass(frozen=True)
class ScheduleInput:
    """What a schedule function sees: n >= 1 steps, the range, and the table of the model."""

    n: int
    sigma_min: float
    sigma_max: float
    rho: float
    schedule: NoiseSchedule
    options: SchedulerOptions
    ays_table: Sequence[float]

    def timestep(self, sigma: float) -> float:
        """The model's timestep at ``sigma``."""
        return self.schedule.sigma_to_t(torch.tensor(sigma), self.options.quantize).item()


ScheduleFunction = Callable[[ScheduleInput], Tensor]


@dataclass(frozen=True)
class Scheduler:
    """A named schedule.

    Attributes:
        name: A1111's internal name, as in option values.
        label: what the page and the infotext print.
        function: None for Automatic (the sampler's default, or else Uniform).
        default_rho: None where the schedule has no rho.
        aliases: other names it is found by.
    """

    name: str
    label: str
    function: ScheduleFunction | None
    default_rho: float | None = None
    aliases: tuple[str, ...] = ()


def _append_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas.float(), torch.zeros(1)])


def uniform_sigmas(of: ScheduleInput) -> Tensor:
    """Timesteps evenly from the last to the first; ignores the range."""
    first, last = of.schedule.ends
    t = torch.linspace(last, first, of.n)
    return _append_zero(of.schedule.t_to_sigma(t))


def karras_sigmas(n: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Evenly in sigma^(1/rho), then 0. Source: Karras et al. 2022, eq. 5."""
    ramp = torch.linspace(0, 1, n)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return _append_zero((high + ramp * (low - high)) ** rho)


def _karras(of: ScheduleInput) -> Tensor:
    """See :func:`karras_sigmas`."""
    return karras_sigmas(of.n, of.sigma_min, of.sigma_max, of.rho)


def exponential_sigmas(of: ScheduleInput) -> Tensor:
    """Evenly in log sigma."""
    return _append_zero(torch.linspace(log(of.sigma_max), log(of.sigma_min), of.n).exp())


def polyexponential_sigmas(of: ScheduleInput) -> Tensor:
    """A polynomial of degree rho in log sigma; rho 1 is exponential."""
    ramp = torch.linspace(1, 0, of.n) ** of.rho
    low, high = log(of.sigma_min), log(of.sigma_max)
    return _append_zero((ramp * (high - low) + low).exp())


def sgm_uniform_sigmas(of: ScheduleInput) -> Tensor:
    """One more than n even timesteps over the range of which the last is left out.

    Source: Podell et al. 2023, "SDXL" (its published sampling code).
    """
    t = torch.linspace(of.timestep(of.sigma_max), of.timestep(of.sigma_min), of.n + 1)[:-1]
    return _append_zero(of.schedule.t_to_sigma(t))


def normal_sigmas(of: ScheduleInput) -> Tensor:
    """Even timesteps over the range, both ends included."""
    t = torch.linspace(of.timestep(of.sigma_max), of.timestep(of.sigma_min), of.n)
    return _append_zero(of.schedule.t_to_sigma(t))


def simple_sigmas(of: ScheduleInput) -> Tensor:
    """Every (T / n)-th entry of the model's table, from the end; ignores the range."""
    stride = of.schedule.timesteps / of.n
    return _append_zero(of.schedule.sigmas[[-(1 + int(i * stride)) for i in range(of.n)]])


def ddim_sigmas(of: ScheduleInput) -> Tensor:
    """Every (T // n)-th entry of the model's table from timestep 1; ignores the range.

    Has more than n + 1 entries where n does not divide T, and starts below sigma_max.
    """
    stride = max(of.schedule.timesteps // of.n, 1)
    return _append_zero(of.schedule.sigmas[1::stride].flip(0))


def kl_optimal_sigmas(of: ScheduleInput) -> Tensor:
    """Evenly in arctan sigma. Its n + 1 entries end at sigma_min, not at 0.

    Source: Sabour et al. 2024, "Align Your Steps", section 3.2 and appendix.
    """
    low, high = torch.tensor(of.sigma_min).arctan(), torch.tensor(of.sigma_max).arctan()
    part = torch.arange(of.n + 1) / of.n
    return torch.tan(part * low + (1 - part) * high)


def align_your_steps_sigmas(of: ScheduleInput) -> Tensor:
    """The family's optimised table, interpolated in log sigma; ignores the range.

    Source: Sabour et al. 2024, "Align Your Steps: Optimizing Sampling Schedules in Diffusion Models".
    """
    table = np.asarray(of.ays_table)
    if of.n == len(table):
        return _append_zero(torch.from_numpy(table))
    logs = np.interp(np.linspace(0, 1, of.n), np.linspace(0, 1, len(table)), np.log(table[::-1]))
    return _append_zero(torch.from_numpy(np.exp(logs)[::-1].copy()))


def beta_sigmas(of: ScheduleInput) -> Tensor:
    """Quantiles of a beta distribution over the range of sigma.

    Source: Lee et al. 2024, "Beta Sampling is All You Need".
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - a quarter of a second that few pictures need

    quantiles = betaincinv(of.options.beta_alpha, of.options.beta_beta, 1 - np.linspace(0, 1, of.n))
    return _append_zero(torch.from_numpy(of.sigma_min + quantiles * (of.sigma_max - of.sigma_min)))


SCHEDULERS = (
    Scheduler("automatic", "Automatic", None),
    Scheduler("uniform", "Uniform", uniform_sigmas),
    Scheduler("karras", "Karras", _karras, default_rho=7.0),
    Scheduler("exponential", "Exponential", exponential_sigmas),
    Scheduler("polyexponential", "Polyexponential", polyexponential_sigmas, default_rho=1.0),
    Scheduler("sgm_uniform", "SGM Uniform", sgm_uniform_sigmas, aliases=("SGMUniform",)),
    Scheduler("kl_optimal", "KL Optimal", kl_optimal_sigmas),
    Scheduler("align_your_steps", "Align Your Steps", align_your_steps_sigmas),
    Scheduler("simple", "Simple", simple_sigmas),
    Scheduler("normal", "Normal", normal_sigmas),
    Scheduler("ddim", "DDIM", ddim_sigmas),
    Scheduler("beta", "Beta", beta_sigmas),
)


def find_scheduler(name: str) -> Scheduler:
    """The scheduler with this label, name or alias.

    Raises:
        NotFoundError: there is none.
    """
    for scheduler in SCHEDULERS:
        if name in {scheduler.label, scheduler.name, *scheduler.aliases}:
            return scheduler
    labels = ", ".join(scheduler.label for scheduler in SCHEDULERS)
    raise NotFoundError("scheduler", f'There is no schedule type "{name}"; there are {labels}.')


def _sigma_range(schedule: NoiseSchedule, options: SchedulerOptions) -> tuple[float, float]:
    """Lowest and highest noise level after the settings."""
    low, high = schedule.sigma_min.item(), schedule.sigma_max.item()
    if options.old_karras_sigmas:
        low, high = OLD_KARRAS_RANGE
    low, high = options.sigma_min or low, options.sigma_max or high
    if not (0 < low < high and isfinite(high)):
        raise RequestError(
            "sigma_min", f"The noise levels must rise from above 0; minimum {low:g}, maximum {high:g} do not."
        )
    return low, high


def build_sigmas(
    scheduler: Scheduler,
    n: int,
    schedule: NoiseSchedule,
    *,
    options: SchedulerOptions | None = None,
    ays_table: Sequence[float] = ALIGN_YOUR_STEPS["sd1"],
) -> Tensor:
    """The noise levels of ``n`` steps, decreasing, float32 on the CPU.

    Args:
        scheduler: Automatic means Uniform here; a sampler's default must be looked up before.
        n: number of steps; 0 gives an empty list.
        schedule: the model's table.
        options: settings; None means all defaults.
        ays_table: the family's table for Align Your Steps.

    Raises:
        RequestError: the range, rho or the beta distribution's parameters make no schedule.
    """
    if n <= 0:
        return torch.zeros(0)
    options = options or SchedulerOptions()
    low, high = _sigma_range(schedule, options)
    rho = options.rho or scheduler.default_rho or 1.0
    if not isfinite(rho) or rho < 0:
        raise RequestError("rho", f"Schedule rho must be above 0, not {rho:g}.")
    if not (options.beta_alpha > 0 and options.beta_beta > 0):
        raise RequestError("beta_dist_alpha", "Alpha and beta of the Beta schedule must be above 0.")
    function = scheduler.function or uniform_sigmas
    sigmas = function(ScheduleInput(n, low, high, rho, schedule, options, ays_table))
    if not sigmas.isfinite().all():
        raise RequestError(
            "scheduler", f"{scheduler.label} with these settings gives noise levels that are not finite."
        )
    return sigmas
