import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modules.diffusion.schedule import ConsistencySchedule, NoiseSchedule

GOLDEN = Path(__file__).parents[1] / "golden" / "units" / "model_sigmas_sd1.json"
SD1 = NoiseSchedule.scaled_linear()


def test_alphas_of_stable_diffusion_are_the_published_ones() -> None:
    expected = torch.tensor(json.loads(GOLDEN.read_text())["alphas_cumprod"])

    assert torch.equal(SD1.alphas_cumprod, expected)


def test_sigmas_of_stable_diffusion_equal_the_reference_to_the_last_digit() -> None:
    expected = torch.tensor(json.loads(GOLDEN.read_text())["sigmas"])

    # one unit in the last place: square roots differ between CPUs
    torch.testing.assert_close(SD1.sigmas, expected, rtol=1.2e-7, atol=0)


def test_zero_terminal_snr_equals_the_reference() -> None:
    expected = torch.tensor(json.loads(GOLDEN.read_text())["zero_snr"])

    # near the end the difference of two nearly equal roots leaves fewer digits
    torch.testing.assert_close(SD1.zero_terminal_snr().alphas_cumprod, expected, rtol=5e-6, atol=0)


def test_zero_terminal_snr_has_the_check_values_of_its_specification() -> None:
    schedule = SD1.zero_terminal_snr()

    assert schedule.alphas_cumprod[500].item() == pytest.approx(0.241018783, rel=1e-6)
    assert schedule.sigmas[998].item() == pytest.approx(2254.238, rel=1e-4)
    assert schedule.sigma_max.item() == pytest.approx(4518.7637, rel=1e-6)
    assert SD1.sigma_max.item() == pytest.approx(14.61464123, rel=1e-6), "the original is not changed"


def test_zero_terminal_snr_after_downcast_stays_finite() -> None:
    assert SD1.downcast().zero_terminal_snr().sigmas.isfinite().all()


def test_downcast_schedule_keeps_half_precision() -> None:
    schedule = SD1.downcast()

    assert schedule.t_to_sigma(torch.tensor([999.0, 0.0])).tolist() == [
        14.609041213989258,
        0.031277891248464584,
    ]


@pytest.mark.parametrize(
    "schedule",
    [
        NoiseSchedule.scaled_linear(),
        NoiseSchedule.linear(),
        NoiseSchedule.cosine(),
        NoiseSchedule.cosine(256),
        NoiseSchedule.scaled_linear().zero_terminal_snr(),
    ],
)
def test_every_schedule_rises_from_almost_clean_to_almost_noise(schedule: NoiseSchedule) -> None:
    assert (schedule.sigmas.diff() > 0).all()
    assert (schedule.alphas_cumprod > 0).all()
    assert schedule.sigma_min < 0.04
    assert schedule.sigma_max > 14


def test_cosine_schedule_follows_the_squared_cosine() -> None:
    t = torch.arange(1, 998, dtype=torch.float64)
    signal = torch.cos((t / 1000 + 0.008) / 1.008 * torch.pi / 2) ** 2
    expected = (
        signal / torch.cos(torch.tensor(0.008 / 1.008 * torch.pi / 2, dtype=torch.float64)) ** 2
    ).float()

    torch.testing.assert_close(NoiseSchedule.cosine().alphas_cumprod[:997], expected, rtol=1e-5, atol=1e-9)


@given(st.floats(0, 999))
def test_timestep_survives_the_way_to_sigma_and_back(timestep: float) -> None:
    t = torch.tensor(timestep)

    assert SD1.sigma_to_t(SD1.t_to_sigma(t)).item() == pytest.approx(timestep, abs=2e-3)


@given(st.floats(0.001, 100))
def test_quantised_timestep_is_whole_and_nearest_in_log_sigma(sigma: float) -> None:
    t = SD1.sigma_to_t(torch.tensor(sigma), quantize=True)
    distances = (SD1.log_sigmas - torch.tensor(sigma).log()).abs()

    assert t == t.round()
    assert distances[int(t)] == distances.min()


def test_sigmas_outside_the_table_are_clamped() -> None:
    assert SD1.sigma_to_t(torch.tensor([1e-4, 1e4])).tolist() == [0, 999]


def test_shapes_of_sigmas_are_kept() -> None:
    assert SD1.sigma_to_t(torch.ones(2, 3)).shape == (2, 3)
    assert SD1.t_to_sigma(torch.tensor(3)).shape == ()


def test_consistency_schedule_knows_every_twentieth_timestep() -> None:
    table = ConsistencySchedule.of(SD1)

    assert table.ends == (19, 999)
    assert torch.equal(table.sigmas, SD1.sigmas[19::20])
    assert table.sigma_to_t(SD1.sigmas[[19, 30, 45, 999]]).tolist() == [19, 39, 39, 999]
    torch.testing.assert_close(table.t_to_sigma(torch.tensor([19, 999])), SD1.sigmas[[19, 999]])


@pytest.mark.parametrize(
    ("t", "nearest"), [(0.0, 0), (499.5, 499), (499.6, 500), (713.57, 714), (999.0, 999)]
)
def test_nearest_timestep_is_judged_by_sigma(t: float, nearest: int) -> None:
    assert NoiseSchedule.scaled_linear().nearest_timestep(t) == nearest
