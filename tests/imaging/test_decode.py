import base64
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from PIL import Image

from modules.exceptions import RequestError
from modules.imaging.decode import decode_base64, load_image, open_image


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def png_with_size(width: int, height: int) -> bytes:
    """A header that promises a huge picture and little else."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


RED = Image.new("RGB", (8, 4), (255, 0, 0))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_every_allowed_format_is_read(format: str) -> None:
    image = load_image(encoded(RED, format))

    assert image.size == (8, 4)
    red, green, blue = image.convert("RGB").getpixel((3, 2))  # type: ignore[misc]
    assert red > 240
    assert max(green, blue) < 15


def test_other_formats_are_refused_although_pillow_knows_them() -> None:
    with pytest.raises(RequestError, match="known formats"):
        load_image(encoded(RED, "PPM"))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff"]
)
def test_what_is_no_picture_is_an_error_that_names_the_field(content: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        load_image(content, field="init_images")

    assert caught.value.field == "init_images"


@pytest.mark.parametrize("size", [(100_000, 100_000), (9000, 8000), (65_000, 1000)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(RequestError, match=r"pixels|damaged"):
        load_image(png_with_size(*size))


def test_the_limit_of_pixels_can_be_set() -> None:
    assert load_image(encoded(RED), max_pixels=32).size == (8, 4)
    with pytest.raises(RequestError, match="8x4"):
        load_image(encoded(RED), max_pixels=31)


def test_opening_reads_only_the_header() -> None:
    assert open_image(png_with_size(1000, 1000)).size == (1000, 1000)
    with pytest.raises(RequestError, match="damaged"):
        load_image(png_with_size(1000, 1000))


def test_a_rotated_photograph_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to show

    image = load_image(encoded(RED, "JPEG", exif=exif.tobytes()))

    assert image.size == (4, 8)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    wide = np.array([[0, 32768, 65535]], dtype=np.uint16)

    image = load_image(encoded(Image.fromarray(wide)))

    assert (image.mode, list(image.tobytes())) == ("L", [0, 127, 255])


def test_a_dark_picture_of_sixteen_bits_stays_dark() -> None:
    wide = np.full((1, 1), 200, dtype=np.uint16)

    assert load_image(encoded(Image.fromarray(wide))).getpixel((0, 0)) == 0


def test_cmyk_becomes_rgb() -> None:
    image = load_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))

    assert image.mode == "RGB"
    assert image.getpixel((4, 4)) == pytest.approx((255, 0, 0), abs=3)


def test_a_palette_becomes_rgb_and_keeps_its_transparency() -> None:
    palette = RED.convert("P")

    assert load_image(encoded(palette)).mode == "RGB"
    transparent = load_image(encoded(palette, transparency=palette.getpixel((0, 0))))
    assert (transparent.mode, transparent.getpixel((0, 0))) == ("RGBA", (255, 0, 0, 0))


def test_a_transparent_colour_of_an_rgb_png_becomes_alpha() -> None:
    image = load_image(encoded(RED, transparency=(255, 0, 0)))

    assert (image.mode, image.getpixel((0, 0))) == ("RGBA", (255, 0, 0, 0))


@pytest.mark.parametrize(("mode", "result"), [("1", "L"), ("L", "L"), ("LA", "RGBA"), ("RGBA", "RGBA")])
def test_greys_and_alpha_keep_what_they_hold(mode: str, result: str) -> None:
    assert load_image(encoded(Image.new(mode, (4, 4)))).mode == result


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(format: str) -> None:
    blue = Image.new("RGB", (8, 4), (0, 0, 255))

    image = load_image(encoded(RED, format, save_all=True, append_images=[blue, blue]))

    assert image.convert("RGB").getpixel((0, 0)) == pytest.approx((255, 0, 0), abs=6)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF that it skips
@profile(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"]), st.data())
def test_a_damaged_file_is_read_or_refused_but_never_breaks(format: str, data: st.DataObject) -> None:
    content = bytearray(encoded(RED, format))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))

    for damaged in (bytes(content), bytes(content[:cut])):
        try:
            mode = load_image(damaged, max_pixels=1_000_000).mode
        except RequestError:
            mode = "refused"
        assert mode in {"L", "RGB", "RGBA", "refused"}


def test_base64_full_of_blanks_takes_no_more_memory_than_a_few_copies() -> None:
    text = "AA " * 2**19  # 1.5 MiB; a list of its words would take 30 MiB
    tracemalloc.start()
    try:
        decode_base64(text, field="image")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(text)


def test_base64_is_read_with_and_without_its_prefix() -> None:
    text = base64.b64encode(b"abc\xff").decode()

    assert decode_base64(text, field="image") == b"abc\xff"
    assert decode_base64(f"data:image/png;base64,{text}", field="image") == b"abc\xff"
    assert decode_base64(text[:4] + "\n" + text[4:], field="image") == b"abc\xff"


@pytest.mark.parametrize("text", ["http://example.org/a.png", "HTTPS://example.org", "%%%", "abc", "a" * 5])
def test_addresses_and_broken_base64_are_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_base64(text, field="mask")

    assert caught.value.field == "mask"
