import numpy as np
import pytest
from PIL import Image

from modules.imaging.sketch import inpaint_sketch, lay_over, painted_mask

SIZE = (32, 16)


@pytest.fixture
def original() -> Image.Image:
    return Image.new("RGB", SIZE, (90, 90, 90))


@pytest.fixture
def painted(original: Image.Image) -> Image.Image:
    return lay_over(original, Image.new("RGBA", (6, 4), (255, 0, 0, 255)), (10, 5))


def test_paint_covers_its_place_alone(original: Image.Image, painted: Image.Image) -> None:
    expected = np.asarray(original).copy()
    expected[5:9, 10:16] = (255, 0, 0)
    assert np.array_equal(np.asarray(painted), expected)


def test_transparent_paint_mixes_and_transparent_pictures_get_white() -> None:
    glass = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    mixed = lay_over(glass, Image.new("RGBA", SIZE, (255, 0, 0, 128)), (0, 0))
    assert mixed.getpixel((0, 0)) == (255, 127, 127)


def test_the_mask_is_white_where_any_channel_differs(original: Image.Image, painted: Image.Image) -> None:
    expected = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    expected[5:9, 10:16] = 255
    assert np.array_equal(np.asarray(painted_mask(original, painted)), expected)


def test_without_blur_the_painted_picture_itself_is_the_start(
    original: Image.Image, painted: Image.Image
) -> None:
    picture, mask = inpaint_sketch(original, painted, blur=0)
    assert np.array_equal(np.asarray(picture), np.asarray(painted))
    assert mask.getextrema() == (0, 255)


def test_mask_transparency_darkens_the_mask_and_mixes_the_paint(
    original: Image.Image, painted: Image.Image
) -> None:
    picture, mask = inpaint_sketch(original, painted, transparency=50, blur=0)
    assert mask.getpixel((12, 6)) == 127
    red = picture.getpixel((12, 6))
    assert isinstance(red, tuple)
    assert red[0] == pytest.approx((90 + 255) / 2, abs=2)
    assert picture.getpixel((0, 0)) == (90, 90, 90)


def test_blur_fades_paint_into_the_picture(original: Image.Image, painted: Image.Image) -> None:
    picture, mask = inpaint_sketch(original, painted, blur=2)
    inside, edge = picture.getpixel((12, 6)), picture.getpixel((16, 6))
    assert isinstance(inside, tuple)
    assert isinstance(edge, tuple)
    assert inside[0] > edge[0] > 90
    assert mask.getextrema() == (0, 255)  # the job's own mask blur softens it
