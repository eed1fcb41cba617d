import pytest
import torch
from torch import Tensor

from modules.diffusion.prediction import EpsilonPrediction, VPrediction, prediction_for
from modules.diffusion.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.scaled_linear()


def noised(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 3, 4, 5, 6, generator=generator)
    return x0, eps, x0 + sigma.view(-1, 1, 1, 1) * eps


SIGMA = torch.tensor([0.1, 1.0, 14.6])


def test_true_noise_gives_back_the_latent() -> None:
    x0, eps, x = noised(SIGMA)

    torch.testing.assert_close(EpsilonPrediction(SCHEDULE).denoised(x, SIGMA, eps), x0, atol=1e-5, rtol=1e-4)


def test_true_velocity_gives_back_the_latent() -> None:
    x0, eps, x = noised(SIGMA)
    scale = (SIGMA**2 + 1).rsqrt().view(-1, 1, 1, 1)
    v = scale * eps - SIGMA.view(-1, 1, 1, 1) * scale * x0

    torch.testing.assert_close(VPrediction(SCHEDULE).denoised(x, SIGMA, v), x0, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v"])
def test_network_sees_unit_variance_at_every_noise_level(kind: str) -> None:
    sigma = torch.tensor([0.03, 1.0, 14.6])
    x = (
        torch.randn(3, 4, 64, 64, generator=torch.Generator().manual_seed(1))
        * (1 + sigma.view(-1, 1, 1, 1) ** 2).sqrt()
    )
    prediction = prediction_for("v" if kind == "v" else "epsilon", SCHEDULE)

    assert prediction.model_input(x, sigma).std(dim=(1, 2, 3)).tolist() == pytest.approx([1, 1, 1], rel=0.02)


def test_velocity_at_a_timestep_becomes_noise() -> None:
    x0, eps, _ = noised(SIGMA)
    t = torch.tensor([1.7, 500.0, 999.0])
    alphas = SCHEDULE.alphas_cumprod[t.long()].view(-1, 1, 1, 1)
    x = alphas.sqrt() * x0 + (1 - alphas).sqrt() * eps
    v = alphas.sqrt() * eps - (1 - alphas).sqrt() * x0

    torch.testing.assert_close(VPrediction(SCHEDULE).eps_at_timestep(x, t, v), eps, atol=1e-5, rtol=1e-5)


def test_noise_at_a_timestep_is_the_output_itself() -> None:
    _, eps, x = noised(SIGMA)

    assert EpsilonPrediction(SCHEDULE).eps_at_timestep(x, torch.tensor(3), eps) is eps


def test_one_noise_level_serves_a_whole_batch() -> None:
    x0, eps, x = noised(torch.tensor(2.0))

    torch.testing.assert_close(
        EpsilonPrediction(SCHEDULE).denoised(x, torch.tensor(2.0), eps), x0, atol=1e-5, rtol=1e-4
    )
