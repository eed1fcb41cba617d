import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modules.diffusion.schedule import NoiseSchedule
from modules.diffusion.schedulers import (
    ALIGN_YOUR_STEPS,
    SCHEDULERS,
    Scheduler,
    SchedulerOptions,
    build_sigmas,
    find_scheduler,
)
from modules.exceptions import NotFoundError, RequestError

SD1 = NoiseSchedule.scaled_linear()
WHOLE_RANGE = [s for s in SCHEDULERS if s.name not in {"ddim", "align_your_steps"}]

CHECK_VALUES = {  # of ten steps, as the specification of the schedules has them
    "uniform": [14.61464, 7.83988, 4.60917, 2.91831, 1.95016, 1.34493, 0.93236, 0.62498, 0.36866, 0.02917, 0],
    "karras": [14.61464, 9.10293, 5.47839, 3.16860, 1.74942, 0.91407, 0.44692, 0.20140, 0.08191, 0.02917, 0],
    "exponential": [
        14.61464,
        7.32487,
        3.67123,
        1.84002,
        0.92222,
        0.46222,
        0.23166,
        0.11611,
        0.05819,
        0.02917,
        0,
    ],
    "sgm_uniform": [
        14.61464,
        8.30717,
        5.09241,
        3.32507,
        2.27973,
        1.61558,
        1.16286,
        0.83188,
        0.57119,
        0.34370,
        0,
    ],
    "simple": [14.61464, 8.30280, 5.08776, 3.32108, 2.27646, 1.61289, 1.16058, 0.82986, 0.56928, 0.34167, 0],
    "ddim": [8.39068, 5.13443, 3.34776, 2.29285, 1.62369, 1.16822, 0.83565, 0.57405, 0.34619, 0.04131, 0],
    "kl_optimal": [
        14.61464,
        4.56504,
        2.63289,
        1.78645,
        1.29477,
        0.96159,
        0.71163,
        0.50942,
        0.33564,
        0.17835,
        0.02917,
    ],
    "align_your_steps": [
        14.615,
        6.11351,
        3.56511,
        2.39387,
        1.64996,
        1.13579,
        0.74252,
        0.44501,
        0.16921,
        0.029,
        0,
    ],
}


@pytest.mark.parametrize("name", CHECK_VALUES)
def test_ten_steps_have_the_published_noise_levels(name: str) -> None:
    sigmas = build_sigmas(find_scheduler(name), 10, SD1)

    assert sigmas.tolist() == pytest.approx(CHECK_VALUES[name], abs=2e-5)


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda s: s.label)
@given(steps=st.integers(1, 150))
def test_noise_levels_fall_and_end_the_sampling(scheduler: Scheduler, steps: int) -> None:
    sigmas = build_sigmas(scheduler, steps, SD1)

    assert sigmas.dtype == torch.float32
    assert (sigmas.diff() < 0).all()
    assert sigmas[-1] == (SD1.sigma_min if scheduler.name == "kl_optimal" else 0)
    assert len(sigmas) >= steps + 1
    assert len(sigmas) == steps + 1 or scheduler.name == "ddim"


@pytest.mark.parametrize("scheduler", WHOLE_RANGE, ids=lambda s: s.label)
@given(steps=st.integers(1, 150))
def test_sampling_starts_at_the_highest_noise_level(scheduler: Scheduler, steps: int) -> None:
    assert build_sigmas(scheduler, steps, SD1)[0].item() == pytest.approx(SD1.sigma_max.item(), rel=1e-6)


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda s: s.label)
def test_every_schedule_takes_a_model_with_zero_terminal_snr(scheduler: Scheduler) -> None:
    assert build_sigmas(scheduler, 20, SD1.zero_terminal_snr()).isfinite().all()


def test_no_steps_are_no_noise_levels() -> None:
    assert len(build_sigmas(find_scheduler("Karras"), 0, SD1)) == 0


def test_range_and_rho_of_the_settings_win() -> None:
    options = SchedulerOptions(sigma_min=0.5, sigma_max=8, rho=3)
    sigmas = build_sigmas(find_scheduler("Karras"), 3, SD1, options=options)
    middle = ((8 ** (1 / 3) + 0.5 ** (1 / 3)) / 2) ** 3

    assert sigmas.tolist() == pytest.approx([8, middle, 0.5, 0], rel=1e-6)


def test_old_karras_setting_replaces_the_range_of_the_model() -> None:
    sigmas = build_sigmas(
        find_scheduler("Exponential"), 3, SD1, options=SchedulerOptions(old_karras_sigmas=True)
    )

    assert sigmas.tolist() == pytest.approx([10, 1, 0.1, 0], rel=1e-6)


def test_polyexponential_with_rho_one_is_exponential() -> None:
    torch.testing.assert_close(
        build_sigmas(find_scheduler("Polyexponential"), 12, SD1),
        build_sigmas(find_scheduler("Exponential"), 12, SD1),
    )


def test_eleven_steps_of_align_your_steps_are_the_table_of_the_family() -> None:
    table = ALIGN_YOUR_STEPS["sdxl"]
    sigmas = build_sigmas(find_scheduler("Align Your Steps"), 11, SD1, ays_table=table)

    assert sigmas.tolist() == pytest.approx([*table, 0], rel=1e-6)


def test_symmetric_beta_distribution_with_ones_is_even() -> None:
    options = SchedulerOptions(beta_alpha=1, beta_beta=1, sigma_min=1, sigma_max=4)

    assert build_sigmas(find_scheduler("Beta"), 4, SD1, options=options).tolist() == pytest.approx(
        [4, 3, 2, 1, 0]
    )


def test_beta_distribution_bends_the_schedule() -> None:
    steep = build_sigmas(
        find_scheduler("Beta"), 10, SD1, options=SchedulerOptions(beta_alpha=0.3, beta_beta=0.9)
    )

    assert not torch.allclose(steep, build_sigmas(find_scheduler("Beta"), 10, SD1))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (SchedulerOptions(sigma_min=20), "sigma_min"),
        (SchedulerOptions(sigma_min=-1), "sigma_min"),
        (SchedulerOptions(sigma_max=float("inf")), "sigma_min"),
        (SchedulerOptions(rho=-2), "rho"),
        (SchedulerOptions(rho=float("nan")), "rho"),
        (SchedulerOptions(beta_alpha=0), "beta_dist_alpha"),
    ],
)
def test_settings_that_make_no_schedule_are_refused(options: SchedulerOptions, field: str) -> None:
    with pytest.raises(RequestError) as error:
        build_sigmas(find_scheduler("Karras"), 10, SD1, options=options)

    assert error.value.field == field


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda s: s.label)
def test_schedulers_are_found_by_all_their_names(scheduler: Scheduler) -> None:
    for name in (scheduler.label, scheduler.name, *scheduler.aliases):
        assert find_scheduler(name) is scheduler


def test_unknown_scheduler_is_named_in_the_message() -> None:
    with pytest.raises(NotFoundError, match=r'"Turbo".*Karras'):
        find_scheduler("Turbo")


def test_labels_have_the_order_of_the_page() -> None:
    assert [s.label for s in SCHEDULERS] == [
        "Automatic", "Uniform", "Karras", "Exponential", "Polyexponential", "SGM Uniform", "KL Optimal",
        "Align Your Steps", "Simple", "Normal", "DDIM", "Beta",
    ]  # fmt: skip


def test_reference_file_is_there() -> None:
    units = Path(__file__).parents[1] / "golden" / "units" / "sigmas_sd1.json"

    assert len(json.loads(units.read_text())) == 440
