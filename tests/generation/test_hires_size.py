"""The target size of the hires pass."""

import pytest

from modules.domain.request import Hires
from modules.generation.hires_size import hires_size


@pytest.mark.parametrize(
    ("hires", "upscaled", "final"),
    [
        (Hires(scale=2.0), (128, 128), (128, 128)),
        (Hires(scale=1.7), (108, 108), (108, 108)),
        (Hires(resize_x=136), (136, 136), (136, 136)),
        (Hires(resize_y=96), (96, 96), (96, 96)),
        (Hires(resize_x=128, resize_y=64), (128, 128), (128, 64)),
        (Hires(resize_x=64, resize_y=128), (128, 128), (64, 128)),
    ],
)
def test_the_size_follows_the_factor_or_the_sides(
    hires: Hires, upscaled: tuple[int, int], final: tuple[int, int]
) -> None:
    size = hires_size(64, 64, hires)
    assert (size.upscale_width, size.upscale_height) == upscaled
    assert (size.width, size.height) == final


def test_one_side_keeps_the_ratio() -> None:
    size = hires_size(512, 768, Hires(resize_x=1024))
    assert (size.width, size.height) == (1024, 1536)
