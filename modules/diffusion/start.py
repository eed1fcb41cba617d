"""Where sampling starts: the list of noise levels or timesteps, and the latent at its beginning.

The order of use: :func:`image_to_image_entry` (only with a picture to start from), :func:`sampling_sigmas`,
then :func:`start_from_noise` or :func:`start_from_latent`, whose result is handed to the sampler's function.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from modules.diffusion.samplers.spec import SamplerOptions, SamplerSpec
from modules.diffusion.schedule import ConsistencySchedule, NoiseSchedule
from modules.diffusion.schedulers import (
    ALIGN_YOUR_STEPS,
    Scheduler,
    SchedulerOptions,
    build_sigmas,
    find_scheduler,
)

__all__ = [
    "Entry",
    "SamplingStart",
    "image_to_image_entry",
    "sampling_sigmas",
    "start_from_latent",
    "start_from_noise",
]

MOST_STRENGTH = 0.999  # of denoising; 1 would ask for one step more than there are


@dataclass(frozen=True)
class SamplingStart:
    """Everything a sampler's function needs but the noise.

    Attributes:
        x: (1, C, h, w) at the first noise level.
        sigmas: noise levels, or timesteps for timestep samplers; empty if there is nothing to do.
        options: with the ranges that depend on the list filled in.
    """

    x: Tensor
    sigmas: Tensor
    options: SamplerOptions


@dataclass(frozen=True)
class Entry:
    """Where a picture enters the list of noise levels.

    Attributes:
        total: build the list for so many steps; 0 means that nothing is to be done.
        remaining: enter it so many steps before its end, and one more (A1111's t_enc).
    """

    total: int
    remaining: int


def image_to_image_entry(steps: int, strength: float, *, exact: bool) -> Entry:
    """Where a picture enters, by how much of it may change.

    Args:
        steps: as requested, 1 or more.
        strength: denoising strength, 0 to 1.
        exact: make ``steps`` steps whatever the strength (hires fix, or the setting for image to image),
            instead of that part of them which the strength says.
    """
    limited = min(strength, MOST_STRENGTH)
    if exact:
        return Entry(int(steps / limited) if strength > 0 else 0, steps - 1)
    return Entry(steps, int(limited * steps))


def _timesteps(steps: int, schedule: NoiseSchedule) -> Tensor:
    """Timesteps 1, 1 + stride, ... ascending; one more than ``steps`` where that does not divide T."""
    if steps <= 0:
        return torch.zeros(0, dtype=torch.long)
    stride = max(schedule.timesteps // steps, 1)
    return (torch.arange(0, schedule.timesteps, stride) + 1).clamp(max=schedule.timesteps - 1)


def sampling_sigmas(
    sampler: SamplerSpec,
    scheduler: Scheduler,
    steps: int,
    schedule: NoiseSchedule,
    *,
    options: SchedulerOptions | None = None,
    ays_table: Sequence[float] = ALIGN_YOUR_STEPS["sd1"],
    discard_next_to_last_sigma: bool = False,
) -> Tensor:
    """The whole list for ``steps`` steps, on the CPU: noise levels descending, or timesteps ascending.

    Args:
        sampler: decides the kind of list; its default replaces Automatic. Timestep samplers have no schedule.
        scheduler: as found by name.
        steps: 0 gives an empty list.
        schedule: the model's.
        options: settings of the schedule.
        ays_table: the family's table for Align Your Steps.
        discard_next_to_last_sigma: the setting; samplers that always do so are not changed by it.

    Raises:
        RequestError: the settings make no schedule.
    """
    if sampler.kind == "timestep":
        return _timesteps(steps, schedule)
    if scheduler.function is None:
        scheduler = find_scheduler(sampler.default_scheduler or "uniform")
    discard = sampler.discard_next_to_last_sigma or discard_next_to_last_sigma
    table = ConsistencySchedule.of(schedule) if sampler.consistency else schedule
    count = steps + 1 if discard and steps > 0 else steps
    sigmas = build_sigmas(scheduler, count, table, options=options, ays_table=ays_table)
    return torch.cat([sigmas[:-2], sigmas[-1:]]) if discard else sigmas


def _brownian_range(sigmas: Tensor) -> tuple[float, float]:
    positive = sigmas[sigmas > 0]
    return positive.min().item(), sigmas.max().item()


def start_from_noise(
    sampler: SamplerSpec,
    noise: Tensor,
    sigmas: Tensor,
    options: SamplerOptions,
    *,
    sgm_noise_multiplier: bool = False,
) -> SamplingStart:
    """Text to image.

    Args:
        sampler: whose kind decides the scale of the latent.
        noise: unit variance, (1, C, h, w).
        sigmas: the whole list.
        options: its ``steps`` must be the requested ones.
        sgm_noise_multiplier: scale by sqrt(1 + sigma^2), the true standard deviation, instead of sigma.
    """
    if sampler.kind == "timestep":
        return SamplingStart(noise, sigmas, options)
    schedule = ConsistencySchedule.of(options.schedule) if sampler.consistency else options.schedule
    scale = (1 + sigmas[0] ** 2).sqrt() if sgm_noise_multiplier else sigmas[0]
    options = replace(
        options,
        sigma_range=(schedule.sigma_min.item(), schedule.sigma_max.item()),
        brownian_range=_brownian_range(sigmas),
    )
    return SamplingStart(noise * scale, sigmas, options)


def start_from_latent(
    sampler: SamplerSpec,
    latent: Tensor,
    noise: Tensor,
    sigmas: Tensor,
    options: SamplerOptions,
    *,
    entry: Entry,
    extra_noise: float = 0.0,
) -> SamplingStart:
    """Image to image and the second pass of hires fix: noise a picture to where sampling enters the list.

    Args:
        sampler: whose kind decides list and scale.
        latent: the picture, (1, C, h, w).
        noise: same shape, unit variance (or times the initial noise multiplier).
        sigmas: the whole list; empty returns the picture as it is.
        options: see :class:`SamplerOptions`.
        entry: from :func:`image_to_image_entry`, as ``sigmas`` was built for.
        extra_noise: how much of ``noise`` is added once more.

    Source: Meng et al. 2021, "SDEdit".
    """
    options = replace(options, from_latent=True)
    if len(sigmas) == 0:
        return SamplingStart(latent, sigmas, options)
    if sampler.kind == "timestep":
        # a picture enters one timestep above the first one that is asked for: pictures of A1111 depend on it
        index = min(entry.remaining, len(sigmas) - 1)
        alpha_cumprod = options.schedule.alphas_cumprod[sigmas[index]]
        signal, sigma = alpha_cumprod.sqrt().float(), (1 - alpha_cumprod).sqrt().float()
        x = latent * signal + noise * sigma + noise * extra_noise * signal
        return SamplingStart(x, sigmas[:index], options)
    # the count from the front is what A1111 uses; it differs where a schedule is longer than asked for
    first = min(entry.total - entry.remaining - 1, max(len(sigmas) - entry.remaining - 2, 0))
    rest = sigmas[first:]
    options = replace(
        options,
        steps=len(rest) - 1,
        sigma_range=(rest[-2].item(), rest[0].item()),
        brownian_range=_brownian_range(sigmas),
    )
    return SamplingStart(latent + noise * rest[0] + noise * extra_noise, rest, options)
