"""Generation parameters in picture files: PNG text chunks, EXIF UserComment in JPEG, WebP and AVIF.

A picture made by another program is read too where its format is known; see
:mod:`modules.domain.infotext_foreign`.
"""

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, PngImagePlugin

from modules.domain.infotext_foreign import convert_foreign
from modules.exceptions import RequestError
from modules.imaging.decode import DECODER_ERRORS, open_image
from modules.imaging.png_file import PNG_STRATEGY, can_write_png, png_file
from modules.imaging.png_text import MAX_TEXTS, is_png, longest_text, png_text_chunks, too_long

__all__ = [
    "ImageMetadata",
    "encode_image",
    "fitting_format",
    "holds_infotext",
    "read_infotext",
    "read_metadata",
]

log = logging.getLogger(__name__)

INFOTEXT_KEY = "parameters"
EXIF_IFD = 0x8769
USER_COMMENT = 0x9286
MAX_EXIF = 65_000  # bytes; an APP1 segment of a JPEG holds 65,533 with its header
MAX_SIDE = {"jpeg": 65_500, "webp": 16_383}  # pixels a side that the format can hold

_UNICODE = b"UNICODE\0"
_ENCODINGS = {b"ASCII\0\0\0": "utf-8", b"JIS\0\0\0\0\0": "shift_jis", b"\0\0\0\0\0\0\0\0": "utf-8"}
_NOT_SHOWN = frozenset({
    "jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "exif", "loop", "background", "timestamp",
    "duration", "progressive", "progression", "icc_profile", "chromaticity", "photoshop", "transparency",
    "gamma", "srgb", "interlace", "version", "extension", "compression", "resolution", "mp", "mpoffset",
    "adobe", "adobe_transform",
})  # fmt: skip


@dataclass(frozen=True)
class ImageMetadata:
    """What a picture file says about its making.

    Attributes:
        infotext: generation parameters in A1111's form, None when there are none.
        items: every text in the file by its keyword, as A1111's PNG Info shows them.
        program: program that wrote the parameters when it was another one, else None.
        lost: what of another program's parameters has no counterpart here, and which texts were too long
            to be read, one sentence each.
    """

    infotext: str | None
    items: Mapping[str, str] = field(default_factory=dict)
    program: str | None = None
    lost: tuple[str, ...] = ()


def read_infotext(source: Path | bytes) -> tuple[str | None, dict[str, str]]:
    """A picture's generation parameters, None without any, and all texts in the file.

    Raises:
        RequestError: the bytes are no picture.
    """
    metadata = read_metadata(source)
    return metadata.infotext, dict(metadata.items)


def read_metadata(source: Path | bytes) -> ImageMetadata:
    """Everything a picture file says about its making; its pixels are not decoded.

    Raises:
        RequestError: the bytes are no picture.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    image = open_image(content, max_pixels=2**62)  # nothing is decoded: any size will do
    too_much: list[str] = []
    items = _texts(content, image, too_much)
    lost = tuple(dict.fromkeys(too_much))
    text = items.get("UserComment") or items.get(INFOTEXT_KEY)
    foreign = convert_foreign(items, width=image.width, height=image.height)
    if foreign is not None:
        return ImageMetadata(foreign.text, items, foreign.program, (*foreign.lost, *lost))
    return ImageMetadata(text or items.get("comment") or None, items, lost=lost)


def encode_image(
    image: Image.Image,
    format: str,
    infotext: str | None = None,
    *,
    items: Mapping[str, str] | None = None,
    quality: int = 80,
    lossless: bool = False,
) -> bytes:
    """A picture as file content, its generation parameters inside.

    Args:
        image: any mode; what the format cannot hold is converted.
        format: "png", "jpg", "jpeg", "webp" or "avif".
        infotext: generation parameters; None or "" writes none.
        items: further texts by keyword; only PNG can hold them.
        quality: 1..100 for the lossy formats.
        lossless: for WebP.
    """
    kind = "jpeg" if format.lower() in {"jpg", "jpeg"} else format.lower()
    out = io.BytesIO()
    if kind == "png":
        texts = {**({INFOTEXT_KEY: infotext} if infotext else {}), **(items or {})}
        chunks = _png_texts(texts)
        if can_write_png(image):
            return png_file(image, [(kind, content) for kind, content, *_ in chunks.chunks])
        image.save(out, "PNG", pnginfo=chunks, compress_level=1, compress_type=PNG_STRATEGY)
        return out.getvalue()
    flat = image if image.mode == "RGB" or (image.mode == "RGBA" and kind != "jpeg") else image.convert("RGB")
    exif = _exif(infotext) if infotext else b""
    if len(exif) > MAX_EXIF:
        log.warning("parameters of %d characters do not fit into a %s file", len(infotext or ""), kind)
        exif = b""
    if kind == "jpeg":
        flat.save(out, "JPEG", quality=quality, exif=exif)
    elif kind == "webp":
        flat.save(out, "WEBP", quality=quality, lossless=lossless, exif=exif)
    elif kind == "avif":
        flat.save(out, "AVIF", quality=quality, exif=exif)
    else:
        raise RequestError(
            "samples_format", f"pictures cannot be saved as {format!r}; use png, jpg, webp or avif"
        )
    return out.getvalue()


def fitting_format(format: str, width: int, height: int) -> str:
    """The format itself, or "png" where a picture of this size in pixels exceeds what it can hold."""
    kind = "jpeg" if format.lower() == "jpg" else format.lower()
    return format if max(width, height) <= MAX_SIDE.get(kind, 2**31 - 1) else "png"


def holds_infotext(format: str, infotext: str) -> bool:
    """Whether a file of this format can hold parameters of this length."""
    return format.lower() == "png" or len(_exif(infotext)) <= MAX_EXIF


def _png_texts(texts: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        chunks.add_text(key.encode("latin-1", "replace")[:79], _storable(value))
    return chunks


def _exif(text: str) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = _UNICODE + _storable(text).encode("utf-16-be")
    return exif.tobytes()


def _storable(text: str) -> str:
    """Without the two things that no file format can hold: lone surrogates and NUL."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def _texts(content: bytes, image: Image.Image, lost: list[str]) -> dict[str, str]:
    items: dict[str, str] = {}
    try:
        for key, value in image.info.items():
            if isinstance(key, str) and key.lower() not in _NOT_SHOWN and len(items) < MAX_TEXTS:
                _keep(items, key, value, lost)
        if is_png(content):
            items.update(png_text_chunks(content, lost))
        for key, text in _graphs_in_exif(image).items():
            _keep(items, key, text, lost)
        comment = _user_comment(image, lost)
    except DECODER_ERRORS as error:
        log.info("metadata of a picture could not be read: %s", error)
        return items
    if comment:
        items["UserComment"] = comment
        items.setdefault(INFOTEXT_KEY, comment)
    return items


def _keep(items: dict[str, str], key: str, value: object, lost: list[str]) -> None:
    """Add a text that is not empty and not too long."""
    if isinstance(value, str | bytes) and len(value) > longest_text(key):
        lost.append(too_long(key))
    elif text := _as_text(value):
        items[key] = text


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "ignore")
    return str(value) if isinstance(value, str | int | float) else ""


def _exif_in(image: Image.Image) -> Image.Exif:
    """EXIF in front of the pixels; Pillow would decode a whole PNG file to look for it behind them."""
    if image.format == "PNG" and not image.info.keys() & {"exif", "Raw profile type exif"}:
        return Image.Exif()
    return image.getexif()


def _graphs_in_exif(image: Image.Image) -> dict[str, str]:
    """ComfyUI's WebP files carry ``prompt:{...}`` and ``workflow:{...}`` in EXIF's Make and Model."""
    found: dict[str, str] = {}
    exif = _exif_in(image)
    for tag in (0x010E, 0x010F, 0x0110):
        keyword, _, text = _as_text(exif.get(tag)).partition(":")
        if keyword.lower() in {"prompt", "workflow"}:
            found[keyword.lower()] = text.rstrip("\0")
    return found


def _user_comment(image: Image.Image, lost: list[str]) -> str:
    raw = _exif_in(image).get_ifd(EXIF_IFD).get(USER_COMMENT)
    if isinstance(raw, str | bytes) and len(raw) > 2 * longest_text("UserComment"):  # two bytes a character
        lost.append(too_long("UserComment"))
        return ""
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, bytes) or len(raw) < 8:
        return ""
    head, rest = raw[:8], raw[8:]
    if head == _UNICODE:
        return _decode_utf16(rest).rstrip("\0")
    return (
        rest.decode(_ENCODINGS[head], "ignore").rstrip("\0")
        if head in _ENCODINGS
        else raw.decode("utf-8", "ignore")
    )


def _decode_utf16(raw: bytes) -> str:
    """Big-endian as the reference writes it; some programs write little-endian without saying so."""
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return raw.decode("utf-16", "ignore")
    high, low = raw[0:400:2].count(0), raw[1:400:2].count(0)
    return raw.decode("utf-16-le" if low > high else "utf-16-be", "ignore")
