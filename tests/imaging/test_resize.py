import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.resize import ResizeMode, flatten, resize_image
from modules.imaging.upscale import PLAIN_UPSCALERS, upscale

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
