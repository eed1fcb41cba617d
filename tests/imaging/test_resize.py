import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.resize import MAX_INTERMEDIATE, ResizeMode, flatten, resize_image
from modules.imaging.upscale import PLAIN_UPSCALERS, Upscaler, upscale

Box = tuple[float, float, float, float]
sides = st.integers(1, 40).map(lambda n: n * 3)


def striped(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), (10, 20, 30))
    image.paste((200, 100, 50), (0, 0, max(1, width // 2), height))
    return image


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(list(ResizeMode)), sides, sides, sides, sides)
def test_the_result_has_the_size_that_was_asked_for(
    mode: ResizeMode, width: int, height: int, to_width: int, to_height: int
) -> None:
    assert resize_image(mode, striped(width, height), to_width, to_height).size == (to_width, to_height)


def test_just_resizing_stretches_with_lanczos_and_keeps_the_mode() -> None:
    mask = Image.linear_gradient("L")

    resized = resize_image(ResizeMode.JUST_RESIZE, mask, 100, 30)

    assert resized.tobytes() == mask.resize((100, 30), Image.Resampling.LANCZOS).tobytes()
    assert resized.mode == "L"


def test_cropping_cuts_the_sides_evenly() -> None:
    image = striped(200, 100)

    cropped = resize_image(ResizeMode.CROP, image, 100, 100)

    assert cropped.tobytes() == image.crop((50, 0, 150, 100)).tobytes()


def test_filling_continues_the_border_rows() -> None:
    image = striped(100, 50)

    filled = np.asarray(resize_image(ResizeMode.FILL, image, 100, 100))

    assert (filled[25:75] == np.asarray(image)).all()
    assert (np.abs(filled[0].astype(int) - filled[25]) <= 1).all()
    assert (np.abs(filled[99].astype(int) - filled[74]) <= 1).all()


def test_filling_continues_the_border_columns() -> None:
    filled = np.asarray(resize_image(ResizeMode.FILL, striped(50, 100), 100, 100))

    assert (np.abs(filled[:, 0].astype(int) - [200, 100, 50]) <= 1).all()
    assert (np.abs(filled[:, 99].astype(int) - [10, 20, 30]) <= 1).all()


def test_a_mask_is_never_enlarged_by_an_upscaler() -> None:
    mask = Image.linear_gradient("L").resize((8, 8))

    resized = resize_image(0, mask, 16, 16, upscaler=PLAIN_UPSCALERS["Nearest"])

    assert resized.tobytes() == mask.resize((16, 16), Image.Resampling.LANCZOS).tobytes()


def test_an_upscaler_enlarges_a_picture() -> None:
    image = striped(8, 8)

    resized = resize_image(0, image, 16, 16, upscaler=PLAIN_UPSCALERS["Nearest"])

    assert resized.tobytes() == image.resize((16, 16), Image.Resampling.NEAREST).tobytes()


def test_making_smaller_never_asks_the_upscaler() -> None:
    def fails(image: Image.Image, width: int, height: int) -> Image.Image:
        raise AssertionError

    assert resize_image(0, striped(64, 64), 32, 32, upscaler=fails).size == (32, 32)


@pytest.mark.parametrize(
    ("scale", "size"), [(2.0, (128, 96)), (1.5, (96, 72)), (1.1, (64, 48)), (1.0, (64, 48))]
)
def test_upscaled_sides_are_multiples_of_eight(scale: float, size: tuple[int, int]) -> None:
    assert upscale(striped(64, 48), scale, PLAIN_UPSCALERS["Lanczos"]).size == size


def test_an_upscaler_is_called_until_the_picture_is_large_enough() -> None:
    calls: list[tuple[int, int]] = []

    def doubles(image: Image.Image, width: int, height: int) -> Image.Image:
        calls.append(image.size)
        return image.resize((image.width * 2, image.height * 2))

    assert upscale(striped(8, 8), 6, doubles).size == (48, 48)
    assert calls == [(8, 8), (16, 16), (32, 32)]


def test_an_upscaler_that_changes_nothing_is_called_once() -> None:
    assert upscale(striped(8, 8), 4, PLAIN_UPSCALERS["None"]).size == (32, 32)


def test_flattening_shows_the_background_through() -> None:
    image = Image.new("RGBA", (1, 1), (0, 0, 0, 0))

    assert flatten(image, "#0080ff").getpixel((0, 0)) == (0, 128, 255)
    assert flatten(Image.new("L", (1, 1), 7), "#0080ff").getpixel((0, 0)) == (7, 7, 7)


def test_labels_are_those_of_the_page() -> None:
    assert [mode.label for mode in ResizeMode][2:] == ["Resize and fill", "Just resize (latent upscale)"]


@pytest.mark.parametrize("mode", list(ResizeMode))
@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (1, 300_000), (300_000, 1), (700, 60_000)])
@pytest.mark.parametrize("upscaler", [None, PLAIN_UPSCALERS["Nearest"]])
def test_a_picture_of_any_shape_reaches_the_size_within_little_memory(
    monkeypatch: pytest.MonkeyPatch, mode: ResizeMode, size: tuple[int, int], upscaler: Upscaler | None
) -> None:
    made: list[int] = []
    plain = Image.Image.resize

    def watched(
        image: Image.Image, to: tuple[int, int], resample: int | None = None, box: Box | None = None
    ) -> Image.Image:
        rows = image.height if box is None else math.ceil(box[3] - box[1]) + 8
        made.append(to[0] * max(to[1], rows))
        return plain(image, to, resample, box)

    monkeypatch.setattr(Image.Image, "resize", watched)

    resized = resize_image(mode, Image.new("RGB", size, (10, 20, 30)), 2048, 1024, upscaler=upscaler)

    assert resized.size == (2048, 1024)
    assert 0 < max(made) <= MAX_INTERMEDIATE
    assert resized.getpixel((1024, 512)) == (10, 20, 30)


@pytest.mark.parametrize("shape", [(200, 90), (90, 200)])
def test_cropping_a_large_picture_shows_what_a_small_one_shows(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    image = Image.linear_gradient("L").convert("RGB").resize(shape)
    ordinary = np.asarray(resize_image(ResizeMode.CROP, image, 64, 64), float)

    monkeypatch.setattr("modules.imaging.resize.MAX_INTERMEDIATE", 100 * 100)
    limited = np.asarray(resize_image(ResizeMode.CROP, image, 64, 64), float)

    assert np.abs(ordinary - limited).max() <= 3  # half a pixel of a gradient over the whole picture
