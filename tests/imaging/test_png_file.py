"""PNG files are read back as they were, whoever reads them."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from modules.imaging.metadata import encode_image, read_metadata
from modules.imaging.png_file import can_write_png, png_file


def _picture(height: int, width: int, mode: str = "RGB") -> Image.Image:
    shape = (height, width, len(mode)) if len(mode) > 1 else (height, width)
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    values[: height // 2] = np.cumsum(values[: height // 2] % 3, axis=0, dtype=np.uint8)  # smooth and rough
    return Image.fromarray(values)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (64, 48), (300, 700)])
def test_every_pixel_comes_back(mode: str, size: tuple[int, int]) -> None:
    picture = _picture(*size, mode)
    with Image.open(io.BytesIO(png_file(picture))) as read:
        assert read.format == "PNG"
        assert read.mode == mode
        assert np.array_equal(np.asarray(read), np.asarray(picture))


@given(arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))))
def test_any_values_come_back(values: np.ndarray) -> None:
    with Image.open(io.BytesIO(png_file(Image.fromarray(values)))) as read:
        assert np.array_equal(np.asarray(read), values)


def test_the_pixels_are_one_zlib_stream_of_paeth_rows() -> None:
    content = png_file(_picture(300, 700))
    begin = content.index(b"IDAT") + 4
    length = int.from_bytes(content[begin - 8 : begin - 4], "big")
    rows = zlib.decompress(content[begin : begin + length])
    assert len(rows) == 300 * (1 + 700 * 3)
    assert set(rows[:: 1 + 700 * 3]) == {4}


def test_the_file_is_no_larger_than_pillows() -> None:
    y, x = np.mgrid[0:256, 0:256] / 256
    waves = np.stack([np.sin(6.28 * (a * x + b * y)) for a, b in ((1, 2), (3, 1), (2, 2))], axis=2)
    grain = np.random.default_rng(0).normal(size=waves.shape)
    picture = Image.fromarray(((0.7 * waves + 1) * 127 + grain).astype(np.uint8))
    theirs = io.BytesIO()
    picture.save(theirs, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    assert len(png_file(picture)) < 1.05 * len(theirs.getvalue())


def test_a_flat_picture_packs_into_little() -> None:
    assert len(png_file(Image.new("RGB", (256, 256), "teal"))) < 256 * 256 * 3 / 100


def test_texts_of_every_script_are_kept() -> None:
    texts = "a lighthouse\nSteps: 20", "灯塔 🌊"
    for text in texts:
        content = encode_image(_picture(8, 8), "png", text, items={"extras": text})
        assert read_metadata(content).infotext == text
        with Image.open(io.BytesIO(content)) as read:
            assert isinstance(read.info, dict)
            assert read.info["parameters"] == read.info["extras"] == text


def test_what_a_picture_carries_beside_pixels_is_left_to_pillow() -> None:
    picture = _picture(8, 8)
    picture.info["icc_profile"] = b"profile"
    assert not can_write_png(picture)
    assert not can_write_png(_picture(8, 8).convert("P"))
    with Image.open(io.BytesIO(encode_image(picture, "png"))) as read:
        assert read.info["icc_profile"] == b"profile"
