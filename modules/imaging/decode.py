"""Untrusted bytes to a picture: which formats, how large, which way up.

The size is read from the header and checked before a single pixel is decoded. Whatever the file holds
(16 bits, CMYK, a palette, several frames), the result is an upright 8-bit picture of mode L, RGB or RGBA.
"""

import base64
import binascii
import io
import string
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

from modules.exceptions import RequestError

__all__ = [
    "DECODER_ERRORS",
    "FORMATS",
    "MAX_PIXELS",
    "data_uri",
    "decode_base64",
    "load_image",
    "open_image",
    "picture_type",
]

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
MAX_PIXELS = 64_000_000  # 8000 x 8000; below Pillow's own alarm, 192 MB as RGB
MAX_FILE_BYTES = 512 * 1024 * 1024

_BLANKS = string.whitespace.encode()

DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,  # Pillow's word for a broken PNG
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow's decoders raise on broken or hostile files."""


def decode_base64(text: str, *, field: str) -> bytes:
    """Bytes of a base64 string, with or without a ``data:...;base64,`` prefix.

    Raises:
        RequestError: it is an address (addresses are not fetched), or no base64.
    """
    if text[:8].lower().startswith(("http://", "https://")):
        raise RequestError(field, f"{field}: addresses are not fetched; send the picture itself as base64")
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    if not text.isascii():
        raise RequestError(field, f"{field} is not valid base64: it has other than ASCII characters")
    try:
        return base64.b64decode(text.encode().translate(None, _BLANKS), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(field, f"{field} is not valid base64: {error}") from error


def picture_type(head: bytes) -> str | None:
    """Media type of an allowed picture format from its first 12 bytes, None for all else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return "image/avif"
    return None


def data_uri(content: bytes) -> str:
    """A picture of ours as a ``data:`` address that a page can show."""
    kind = picture_type(content[:12]) or "image/jpeg"
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def open_image(content: bytes, *, field: str = "image", max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a picture's header and check format and size; no pixels are decoded yet.

    Raises:
        RequestError: not a picture of a known format, or too large.
    """
    if len(content) > MAX_FILE_BYTES:
        raise RequestError(field, f"{field} has {len(content):,} bytes; at most {MAX_FILE_BYTES:,} are read")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RequestError(field, f"{field} has too many pixels; at most {max_pixels:,} are read") from error
    except DECODER_ERRORS as error:
        raise RequestError(
            field, f"{field} is not a picture that can be read; known formats are {', '.join(FORMATS)}"
        ) from error
    if image.width * image.height > max_pixels:
        raise RequestError(
            field, f"{field} is {image.width}x{image.height}; at most {max_pixels:,} pixels are read"
        )
    return image


def load_image(content: bytes, *, field: str = "image", max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a picture: its first frame, upright, 8 bits a channel, mode L, RGB or RGBA.

    Args:
        content: the file.
        field: name of the request's field, for messages.
        max_pixels: largest width times height.

    Raises:
        RequestError: the bytes are no picture of a known format, are too large or damaged.
    """
    image = open_image(content, field=field, max_pixels=max_pixels)
    try:
        image.load()
        upright = ImageOps.exif_transpose(image)
        return _eight_bit(upright)
    except DECODER_ERRORS as error:
        raise RequestError(field, f"{field} is damaged: its pixels cannot be decoded") from error


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide(image)
    if image.mode in {"L", "RGB"} and "transparency" not in image.info:
        return image
    if image.mode == "1":
        return image.convert("L")
    if "transparency" in image.info or image.mode in {"LA", "La", "PA", "RGBA", "RGBa"}:
        return image.convert("RGBA")
    return image.convert("RGB")


def _from_wide(image: Image.Image) -> Image.Image:
    """16-bit and 32-bit greys to 8 bits; Pillow's own conversion would clip instead of scaling."""
    values = np.asarray(image)
    highest = values.max(initial=0)
    if image.mode.startswith("I;16") or (image.mode == "I" and 255 < highest <= 65_535):
        values = values // 257
    elif image.mode == "I" and highest > 65_535:
        values = values // 2**23
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
