"""Pictures of every strange kind, through every route: understood, or refused in one sentence."""

import base64
import io
import socket
import struct
import zlib
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.server.studio import Studio, open_studio

SIZE = (24, 16)
Maker = Callable[[], bytes]


def saved(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    return saved(Image.new("RGB", SIZE[::-1], "red"), "JPEG", exif=exif.tobytes())


def animated(format: str) -> bytes:
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "green", "blue")]
    return saved(frames[0], format, save_all=True, append_images=frames[1:])


def sixteen_bit() -> bytes:
    return saved(Image.fromarray(np.full(SIZE[::-1], 40_000, np.uint16)))


def palette_with_a_hole() -> bytes:
    return saved(Image.new("RGBA", SIZE, (255, 0, 0, 0)).convert("P"), transparency=0)


STRANGE: dict[str, Maker] = {
    "CMYK": lambda: saved(Image.new("CMYK", SIZE), "JPEG"),
    "16 bit": sixteen_bit,
    "1 bit": lambda: saved(Image.new("1", SIZE)),
    "grey with alpha": lambda: saved(Image.new("LA", SIZE)),
    "palette": lambda: saved(Image.new("P", SIZE)),
    "palette with transparency": palette_with_a_hole,
    "animated GIF": lambda: animated("GIF"),
    "animated PNG": lambda: animated("PNG"),
    "animated WebP": lambda: animated("WEBP"),
    "rotated": rotated,
    "AVIF": lambda: saved(Image.new("RGB", SIZE), "AVIF"),
    "TIFF": lambda: saved(Image.new("RGB", SIZE), "TIFF"),
    "BMP": lambda: saved(Image.new("RGB", SIZE), "BMP"),
}


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def bomb(width: int, height: int) -> bytes:
    """A few bytes that promise many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10_000))


def jpeg_bomb() -> bytes:
    content = bytearray(saved(Image.new("RGB", SIZE), "JPEG"))
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = b"\xff\xff\xff\xff"
    return bytes(content)


REFUSED: dict[str, Maker] = {
    "no pixels": lambda: bomb(0, 0),
    "bomb": lambda: bomb(30_000, 30_000),
    "long bomb": lambda: bomb(2**31 - 1, 1),
    "JPEG bomb": jpeg_bomb,
    "half a picture": lambda: saved(Image.effect_noise(SIZE, 50))[:-60],
    "only a signature": lambda: b"\x89PNG\r\n\x1a\n",
    "text": lambda: b"plain text",
    "SVG": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "Photoshop": lambda: b"8BPS\0\1" + b"\0" * 30,
    "zip": lambda: b"PK\3\4" + b"\0" * 30,
}
NO_BASE64 = (
    "!!!",
    "data:;base64,",
    "data:image/png,",
    "data:image/png;base64,AAA",
    "AAA",
    "-_-_",
    "=",
    "é",
    "\0",
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with open_studio(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


def send(studio: Studio, field: str, text: str) -> httpx.Response:
    """Send a picture in one of the fields that take one."""
    plain = base64.b64encode(saved(Image.new("RGB", SIZE))).decode()
    bodies: dict[str, tuple[str, dict[str, object]]] = {
        "init_images": ("img2img", {"init_images": [text], "steps": 1}),
        "mask": ("img2img", {"init_images": [plain], "mask": text, "steps": 1}),
        "image": ("extra-single-image", {"image": text, "upscaler_1": "Lanczos"}),
        "imageList": ("extra-batch-images", {"imageList": [{"data": text, "name": "x"}]}),
        "png-info": ("png-info", {"image": text}),
    }
    route, body = bodies[field]
    return studio.post(f"/sdapi/v1/{route}", body)


FIELDS = ("init_images", "mask", "image", "imageList", "png-info")


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_pictures_are_understood(studio: Studio, kind: str) -> None:
    text = base64.b64encode(STRANGE[kind]()).decode()
    for field in FIELDS:
        answer = send(studio, field, text)
        assert answer.status_code == 200, (field, answer.text)
        if field == "image":
            with Image.open(io.BytesIO(base64.b64decode(answer.json()["image"]))) as image:
                assert image.size == (2 * SIZE[0], 2 * SIZE[1])


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_picture_is_refused_in_one_sentence(studio: Studio, kind: str) -> None:
    text = base64.b64encode(REFUSED[kind]()).decode()
    for field in FIELDS:
        answer = send(studio, field, text)
        if field == "png-info" and answer.status_code == 200:
            assert answer.json()["info"] == ""  # only its header was looked at
            continue
        assert answer.status_code == 422, (field, answer.text)
        assert answer.json()["field"] in (field, "image")
        assert len(answer.content) < 1000
        assert text[:40] not in answer.text or len(text) < 40


@pytest.mark.parametrize("text", NO_BASE64)
def test_what_is_no_base64_is_refused_by_its_field(studio: Studio, text: str) -> None:
    for field in FIELDS:
        answer = send(studio, field, text)
        assert answer.status_code == 422, (field, answer.text)
        assert answer.json()["field"] in (field, "image")
        assert len(answer.content) < 1000


def test_base64_with_blanks_and_lines_is_understood(studio: Studio) -> None:
    plain = base64.b64encode(saved(Image.new("RGB", SIZE))).decode()
    broken = (
        "data:image/png;base64," + "\r\n".join(plain[i : i + 20] for i in range(0, len(plain), 20)) + " \n"
    )
    for field in FIELDS:
        assert send(studio, field, broken).status_code == 200


def test_an_address_is_never_fetched(studio: Studio) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/x.png"
        for field in FIELDS:
            answer = send(studio, field, address)
            assert answer.status_code == 422
            assert "not fetched" in answer.json()["detail"]
        with pytest.raises(BlockingIOError):
            listener.accept()
