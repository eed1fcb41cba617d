import pytest
import torch

from modules.diffusion.noise_philox import philox_randn

CHECK_VALUES = [
    (0, (3, 4), 0, [-0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564]),
    (42, (4, 2, 2), 0, [0.19401887, 2.1613739, -0.17205095, 0.84906, -1.9243993, 0.6529853]),
    (42, (4, 2, 2), 1, [0.13913749, -0.10821616, -0.7174222, 0.75664866, 0.37148824, -1.0049413]),
    (4294967293, (6,), 0, [-1.1140143, -0.8079632, -1.2942228, 0.14194855, 1.7838765, 1.001024]),
    (12345678901234, (6,), 0, [0.23861006, -0.18103155, 0.22504944, -0.0236008, 0.74412304, 0.0702915]),
]


@pytest.mark.parametrize(("seed", "shape", "offset", "expected"), CHECK_VALUES)
def test_numbers_are_those_of_a_cuda_card(
    seed: int, shape: tuple[int, ...], offset: int, expected: list[float]
) -> None:
    noise = philox_randn(seed, shape, offset)

    assert noise.shape == shape
    assert noise.dtype == torch.float32
    assert noise.flatten()[:6].tolist() == pytest.approx(expected, abs=1e-6)


def test_numbers_are_normal() -> None:
    noise = philox_randn(7, (4, 128, 128))

    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(1, abs=0.02)


def test_negative_seed_is_taken_modulo_two_to_the_sixty_fourth() -> None:
    assert torch.equal(philox_randn(-5, (8,)), philox_randn(2**64 - 5, (8,)))
