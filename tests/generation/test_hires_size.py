"""The target size of the hires pass."""

import pytest

from modules.domain.request import MAX_SIDE, Hires
from modules.exceptions import RequestError
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


@pytest.mark.parametrize(
    ("width", "height", "hires"),
    [
        (8, MAX_SIDE, Hires(resize_x=MAX_SIDE)),
        (8, MAX_SIDE, Hires(resize_x=MAX_SIDE, resize_y=MAX_SIDE)),
        (MAX_SIDE, 8, Hires(resize_y=MAX_SIDE)),
        (MAX_SIDE, MAX_SIDE // 2, Hires(scale=8.0)),
        (512, 512, Hires(resize_x=1)),
        (512, 8, Hires(resize_x=256)),
    ],
)
def test_a_second_pass_without_pixels_or_with_too_many_is_refused(
    width: int, height: int, hires: Hires
) -> None:
    with pytest.raises(RequestError, match="second pass") as refusal:
        hires_size(width, height, hires)
    asked = hires.model_dump(include={"resize_x", "resize_y", "scale"}, exclude_defaults=True)
    assert refusal.value.field == f"hires.{next(iter(sorted(asked)))}"


@pytest.mark.parametrize(("side", "scale"), [(2048, 4.0), (1024, 8.0)])
def test_the_largest_size_is_reached(side: int, scale: float) -> None:
    assert hires_size(side, side, Hires(scale=scale)).width == MAX_SIDE
