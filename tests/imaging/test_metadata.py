import io
import json
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from PIL import Image

from modules.exceptions import RequestError
from modules.imaging.metadata import encode_image, fitting_format, read_infotext, read_metadata
from modules.imaging.png_text import png_text_chunks

PICTURE = Image.new("RGB", (16, 8), (200, 100, 50))
TEXT = 'a "cat", 猫 🐱\nNegative prompt: é\nSteps: 20, Sampler: Euler, Seed: 1'
FORMATS = ["png", "jpg", "jpeg", "webp", "avif"]


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk directly before its end."""
    png = encode_image(PICTURE, "png")
    return png[:-12] + png_chunk(kind, content) + png[-12:]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("text", ["plain latin\nSteps: 1, A b: 2, C d: 3", TEXT, "x" * 20_000])
def test_parameters_come_back_from_every_format(format: str, text: str) -> None:
    assert read_infotext(encode_image(PICTURE, format, text))[0] == text


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_without_parameters_has_none(format: str) -> None:
    assert read_infotext(encode_image(PICTURE, format)) == (None, {})


def test_png_keeps_pixels_and_further_texts() -> None:
    content = encode_image(PICTURE, "png", TEXT, items={"extras": "x4", "postprocessing": "y"})

    assert Image.open(io.BytesIO(content)).tobytes() == PICTURE.tobytes()
    assert read_infotext(content)[1] == {"parameters": TEXT, "extras": "x4", "postprocessing": "y"}


def test_latin_text_is_a_plain_chunk_and_other_text_an_international_one() -> None:
    assert b"tEXtparameters\0caf\xe9" in encode_image(PICTURE, "png", "café")
    assert b"iTXtparameters" in encode_image(PICTURE, "png", "猫")


def test_jpeg_holds_utf16_big_endian_in_the_user_comment() -> None:
    assert b"UNICODE\0" + "猫 cat".encode("utf-16-be") in encode_image(PICTURE, "jpg", "猫 cat")


def test_the_jpeg_quality_decides_the_size() -> None:
    noise = Image.effect_noise((64, 64), 80).convert("RGB")

    assert len(encode_image(noise, "jpg", quality=95)) > len(encode_image(noise, "jpg", quality=30))


def test_lossless_webp_keeps_every_pixel() -> None:
    noise = Image.effect_noise((16, 16), 80).convert("RGB")
    content = encode_image(noise, "webp", lossless=True)

    assert Image.open(io.BytesIO(content)).convert("RGB").tobytes() == noise.tobytes()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("mode", ["RGBA", "L", "P"])
def test_every_mode_can_be_saved_in_every_format(format: str, mode: str) -> None:
    content = encode_image(PICTURE.convert(mode), format, TEXT)

    assert read_infotext(content)[0] == TEXT


def test_text_too_long_for_a_jpeg_is_left_out_and_the_picture_saved() -> None:
    content = encode_image(PICTURE, "jpg", "x" * 60_000)

    assert read_infotext(content)[0] is None
    assert Image.open(io.BytesIO(content)).size == (16, 8)


def test_characters_that_no_file_can_hold_are_replaced() -> None:
    for format in FORMATS:
        assert read_infotext(encode_image(PICTURE, format, "a\0b \ud800"))[0] == "ab \ufffd"


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(RequestError, match="png, jpg, webp or avif"):
        encode_image(PICTURE, "exe")


def test_pictures_too_large_for_a_format_become_png() -> None:
    assert fitting_format("webp", 16_384, 10) == "png"
    assert fitting_format("jpg", 10, 65_501) == "png"
    assert fitting_format("jpg", 8192, 8192) == "jpg"
    assert fitting_format("png", 100_000, 1) == "png"


@pytest.mark.parametrize(
    ("head", "encoding"),
    [(b"UNICODE\0", "utf-16-le"), (b"UNICODE\0", "utf-16"), (b"ASCII\0\0\0", "ascii"), (b"\0" * 8, "utf-8")],
)
def test_user_comments_of_other_writers_are_read(head: bytes, encoding: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = head + "a cat, Steps: 20".encode(encoding)
    out = io.BytesIO()
    PICTURE.save(out, "JPEG", exif=exif.tobytes())

    assert read_infotext(out.getvalue())[0] == "a cat, Steps: 20"


def test_a_gif_comment_is_read() -> None:
    out = io.BytesIO()
    PICTURE.save(out, "GIF", comment=b"a cat")

    assert read_infotext(out.getvalue())[0] == "a cat"


def test_text_behind_the_pixels_is_read() -> None:
    assert read_infotext(with_chunk(b"tEXt", b"parameters\0late"))[0] == "late"
    assert read_infotext(with_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"packed")))[0] == "packed"
    international = b"parameters\0\1\0en\0\0" + zlib.compress("猫".encode())
    assert read_infotext(with_chunk(b"iTXt", international))[0] == "猫"


def test_a_text_bomb_is_skipped() -> None:
    bomb = b"parameters\0\0" + zlib.compress(b"x" * 20_000_000)

    assert png_text_chunks(with_chunk(b"zTXt", bomb)) == {}


@profile(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.sampled_from([b"tEXt", b"zTXt", b"iTXt"]))
def test_no_chunk_whatever_breaks_the_reader(content: bytes, kind: bytes) -> None:
    texts = png_text_chunks(with_chunk(kind, content))

    assert all(isinstance(text, str) for text in texts.values())


def test_a_comfyui_graph_in_a_webp_is_found() -> None:
    exif = Image.Exif()
    graph = {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}}}
    exif[0x0110] = "prompt:" + json.dumps(graph)
    out = io.BytesIO()
    PICTURE.save(out, "WEBP", exif=exif.tobytes())

    metadata = read_metadata(out.getvalue())

    assert (metadata.program, metadata.infotext) == ("ComfyUI", "a cat")
    assert metadata.lost


def test_a_file_that_is_no_picture_is_an_error() -> None:
    with pytest.raises(RequestError):
        read_metadata(b"no picture")


LONG = 600_000  # characters


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_a_text_longer_than_anybody_writes_is_not_read_and_this_is_said(kind: bytes, early: bool) -> None:
    text = b"ab: 1, " * (LONG // 7)
    chunk = {b"tEXt": text, b"zTXt": b"\0" + zlib.compress(text), b"iTXt": b"\0\0\0\0" + text}[kind]
    content = with_chunk(kind, b"parameters\0" + chunk)
    if early:  # where Pillow reads it too: behind the header
        content = content[:33] + png_chunk(kind, b"parameters\0" + chunk) + content[33:]

    metadata = read_metadata(content)

    assert metadata.infotext is None
    assert "parameters" not in metadata.items
    assert metadata.lost == ("parameters: longer than 524,288 bytes, so it was not read",)


def test_a_long_workflow_is_kept() -> None:
    workflow = json.dumps({"nodes": ["x" * LONG]})

    assert read_metadata(with_chunk(b"tEXt", b"workflow\0" + workflow.encode())).items["workflow"] == workflow


@pytest.mark.parametrize("keyword", [b"%d", b"same"])
def test_only_the_first_texts_of_a_file_with_thousands_are_read(keyword: bytes) -> None:
    chunks = b"".join(
        png_chunk(b"tEXt", keyword.replace(b"%d", b"%d" % number) + b"\0x") for number in range(1, 2000)
    )
    png = encode_image(PICTURE, "png")

    metadata = read_metadata(png[:-12] + chunks + png[-12:])

    assert 0 < len(metadata.items) < 500
    assert metadata.lost == ("further texts of the file were not read",)


def test_texts_that_inflate_to_too_much_end_the_reading_soon() -> None:
    bomb = png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1_000_000)))
    png = encode_image(PICTURE, "png")
    lost: list[str] = []

    assert png_text_chunks(png[:-12] + bomb * 200 + png[-12:], lost) == {}
    assert len(lost) < 50


@pytest.mark.parametrize("format", FORMATS)
def test_no_pixels_are_decoded_to_read_the_texts(monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    content = encode_image(PICTURE, format, TEXT)

    def fails(_image: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fails)

    assert read_infotext(content)[0] == TEXT
