import pytest
import torch

from modules.diffusion.schedule import NoiseSchedule
from modules.training.objective import add_noise, min_snr_weights, stratified_timesteps, v_target


def _batch(count: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x0 = torch.randn(count, 4, 8, 8, generator=generator)
    eps = torch.randn(count, 4, 8, 8, generator=generator)
    signal = NoiseSchedule.scaled_linear().alphas_cumprod[torch.tensor([0, 300, 700, 999])[:count]]
    return x0, eps, signal


def test_noised_latents_of_unit_variance_keep_unit_variance() -> None:
    generator = torch.Generator().manual_seed(1)
    x0 = torch.randn(2, 4, 128, 128, generator=generator)
    eps = torch.randn(2, 4, 128, 128, generator=generator)
    noisy = add_noise(x0, eps, torch.tensor([0.9, 0.1]))
    assert noisy.var((1, 2, 3)) == pytest.approx(torch.ones(2), abs=0.02)


def test_picture_and_noise_follow_from_the_noisy_latent_and_v() -> None:
    x0, eps, signal = _batch()
    noisy, v = add_noise(x0, eps, signal), v_target(x0, eps, signal)
    a, s = signal.sqrt()[:, None, None, None], (1 - signal).sqrt()[:, None, None, None]
    assert torch.allclose(a * noisy - s * v, x0, atol=1e-5)
    assert torch.allclose(s * noisy + a * v, eps, atol=1e-5)


def test_weights_are_the_capped_ratio_over_ratio_plus_one() -> None:
    snr = torch.tensor([0.01, 1.0, 5.0, 99.0])
    weights = min_snr_weights(snr / (1 + snr), 5.0)
    assert weights == pytest.approx(torch.tensor([0.01 / 1.01, 0.5, 5 / 6, 5 / 100]), rel=1e-4)


def test_the_floor_lifts_only_the_noisy_half() -> None:
    snr = torch.tensor([0.01, 0.9, 99.0])
    weights = min_snr_weights(snr / (1 + snr), 5.0, floor=0.3)
    assert weights == pytest.approx(torch.tensor([0.3, 0.9 / 1.9, 0.05]), rel=1e-4)


def test_every_interval_of_time_is_drawn_once() -> None:
    drawn = stratified_timesteps(50, 1000, torch.Generator().manual_seed(2))
    assert sorted(t // 20 for t in drawn.tolist()) == list(range(50))


def test_a_shift_moves_the_median_to_noisier_timesteps() -> None:
    drawn = stratified_timesteps(1000, 1000, torch.Generator().manual_seed(2), shift=2.0)
    assert drawn.float().median() == pytest.approx(667, abs=3)
