import json
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modules.diffusion.samplers import SAMPLERS, SamplerOptions, SamplerSpec, find_sampler
from modules.diffusion.schedulers import SCHEDULERS, find_scheduler
from modules.diffusion.start import (
    Entry,
    image_to_image_entry,
    sampling_sigmas,
    start_from_latent,
    start_from_noise,
)
from tests.diffusion.driver import SCHEDULE

UNITS = Path(__file__).parents[1] / "golden" / "units" / "sigmas_sd1.json"
REFERENCE = json.loads(UNITS.read_text())
LATENT, NOISE = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
OPTIONS = SamplerOptions(SCHEDULE)


@pytest.mark.parametrize("key", REFERENCE)
def test_lists_equal_the_reference(key: str) -> None:
    name, scheduler, steps = key.split("|")
    sigmas = sampling_sigmas(find_sampler(name), find_scheduler(scheduler), int(steps), SCHEDULE)

    # a few units in the last place: elementary functions differ between CPUs
    torch.testing.assert_close(sigmas.float(), torch.tensor(REFERENCE[key]), rtol=5e-7, atol=0)


@pytest.mark.parametrize(
    ("strength", "steps", "real_steps"),
    [(0.75, 20, 16), (0.5, 20, 11), (0.3, 30, 10), (1, 20, 20), (0, 20, 1)],
)
def test_strength_decides_how_many_steps_are_made(strength: float, steps: int, real_steps: int) -> None:
    entry = image_to_image_entry(steps, strength, exact=False)
    sigmas = sampling_sigmas(find_sampler("Euler"), SCHEDULERS[0], entry.total, SCHEDULE)
    start = start_from_latent(find_sampler("Euler"), LATENT, NOISE, sigmas, OPTIONS, entry=entry)

    assert len(start.sigmas) - 1 == real_steps
    assert start.options.steps == real_steps


@given(st.floats(0.01, 1), st.integers(1, 60))
def test_exact_steps_are_made_whatever_the_strength(strength: float, steps: int) -> None:
    entry = image_to_image_entry(steps, strength, exact=True)
    sigmas = sampling_sigmas(find_sampler("Euler"), SCHEDULERS[0], entry.total, SCHEDULE)
    start = start_from_latent(find_sampler("Euler"), LATENT, NOISE, sigmas, OPTIONS, entry=entry)

    assert len(start.sigmas) == steps + 1


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
def test_exact_steps_without_strength_return_the_picture(sampler: SamplerSpec) -> None:
    entry = image_to_image_entry(20, 0.0, exact=True)
    sigmas = sampling_sigmas(sampler, SCHEDULERS[0], entry.total, SCHEDULE)
    start = start_from_latent(sampler, LATENT, NOISE, sigmas, OPTIONS, entry=entry)

    assert len(start.sigmas) == 0
    assert torch.equal(start.x, LATENT)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
@pytest.mark.parametrize(("strength", "steps"), [(0.01, 20), (0.001, 3), (1.0, 1), (0.5, 150)])
def test_every_strength_has_a_start(sampler: SamplerSpec, strength: float, steps: int) -> None:
    for scheduler, exact in product(SCHEDULERS, (False, True)):
        entry = image_to_image_entry(steps, strength, exact=exact)
        sigmas = sampling_sigmas(sampler, scheduler, entry.total, SCHEDULE)
        start = start_from_latent(sampler, LATENT, NOISE, sigmas, OPTIONS, entry=entry)

        assert start.x.isfinite().all()
        assert sampler.kind == "timestep" or len(start.sigmas) >= 2


def test_text_to_image_starts_at_the_first_noise_level() -> None:
    euler = find_sampler("Euler")
    sigmas = sampling_sigmas(euler, SCHEDULERS[0], 10, SCHEDULE)

    plain = start_from_noise(euler, NOISE, sigmas, OPTIONS)
    multiplied = start_from_noise(euler, NOISE, sigmas, OPTIONS, sgm_noise_multiplier=True)

    torch.testing.assert_close(plain.x, NOISE * sigmas[0])
    torch.testing.assert_close(multiplied.x, NOISE * (1 + sigmas[0] ** 2).sqrt())


def test_timestep_samplers_start_from_the_noise_itself() -> None:
    ddim = find_sampler("DDIM")
    timesteps = sampling_sigmas(ddim, SCHEDULERS[0], 20, SCHEDULE)

    assert timesteps.tolist() == list(range(1, 1000, 50))
    assert torch.equal(start_from_noise(ddim, NOISE, timesteps, OPTIONS).x, NOISE)


def test_timestep_samplers_keep_the_variance_of_a_picture() -> None:
    ddim = find_sampler("DDIM")
    timesteps = sampling_sigmas(ddim, SCHEDULERS[0], 10, SCHEDULE)
    start = start_from_latent(ddim, LATENT, NOISE, timesteps, OPTIONS, entry=Entry(10, 5))
    alpha = SCHEDULE.alphas_cumprod[501]

    torch.testing.assert_close(start.x, alpha.sqrt() * LATENT + (1 - alpha).sqrt() * NOISE)
    assert start.sigmas.tolist() == [1, 101, 201, 301, 401]


@pytest.mark.parametrize("name", ["Euler", "DDIM"])
def test_extra_noise_is_added_in_the_scale_of_the_picture(name: str) -> None:
    sampler, entry = find_sampler(name), Entry(10, 5)
    sigmas = sampling_sigmas(sampler, SCHEDULERS[0], 10, SCHEDULE)

    plain = start_from_latent(sampler, LATENT, NOISE, sigmas, OPTIONS, entry=entry)
    extra = start_from_latent(sampler, LATENT, NOISE, sigmas, OPTIONS, entry=entry, extra_noise=0.2)
    scale = SCHEDULE.alphas_cumprod[501].sqrt() if name == "DDIM" else 1.0

    torch.testing.assert_close(extra.x - plain.x, 0.2 * scale * NOISE, atol=1e-6, rtol=1e-5)


def test_brownian_path_spans_the_whole_schedule_also_from_a_picture() -> None:
    sampler, entry = find_sampler("DPM++ SDE"), Entry(10, 3)
    sigmas = sampling_sigmas(sampler, SCHEDULERS[0], 10, SCHEDULE)
    start = start_from_latent(sampler, LATENT, NOISE, sigmas, OPTIONS, entry=entry)

    assert start.options.brownian_range == (sigmas[-2].item(), sigmas[0].item())
    assert start.sigmas[0] < sigmas[0]


def test_setting_discards_the_penultimate_noise_level() -> None:
    euler, karras = find_sampler("Euler"), find_scheduler("karras")
    longer = sampling_sigmas(euler, karras, 7, SCHEDULE)
    discarded = sampling_sigmas(euler, karras, 6, SCHEDULE, discard_next_to_last_sigma=True)

    assert torch.equal(discarded, torch.cat([longer[:-2], longer[-1:]]))


def test_sampler_that_always_discards_is_not_changed_by_the_setting() -> None:
    dpm2, karras = find_sampler("DPM2"), find_scheduler("karras")

    assert torch.equal(
        sampling_sigmas(dpm2, karras, 6, SCHEDULE),
        sampling_sigmas(dpm2, karras, 6, SCHEDULE, discard_next_to_last_sigma=True),
    )


def test_more_timesteps_than_there_are_still_make_a_list() -> None:
    timesteps = sampling_sigmas(find_sampler("DDIM"), SCHEDULERS[0], 2000, SCHEDULE)

    assert timesteps[0] == 1
    assert timesteps[-1] == 999
