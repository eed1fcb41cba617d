"""Pictures that a user hands in, and masks that he draws on them: a canvas of our own in the page.

The page sends no file path that would have to be trusted: a dropped picture goes through Gradio's
upload and must lie in its upload folder, a picture sent from a result is named by its id, and the
mask is a PNG inside the value itself.
"""

import base64
import binascii
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from PIL import Image, UnidentifiedImageError

from modules.exceptions import RequestError
from modules.webui.assets import asset_text

__all__ = ["PictureInput", "PictureReader", "picture_field"]

MAX_MASK_BYTES = 48 * 2**20  # base64 of an 8192 x 8192 drawing stays far below
PNG_PREFIX = "data:image/png;base64,"


def picture_field(elem_id: str, label: str, *, paint: bool = False) -> gr.HTML:
    """A field for one picture; with ``paint`` a mask can be drawn on it.

    Its value is ``{"image": {"id" | "path", "url", "name"}, "mask": data URI of a PNG}``.
    """
    return gr.HTML(
        {},
        html_template=asset_text("canvas.html").replace("LABEL", label).replace("PAINT", str(paint).lower()),
        js_on_load=asset_text("canvas.js"),
        elem_id=elem_id,
        elem_classes=["picture-field"],
        apply_default_css=False,
    )


@dataclass(frozen=True)
class PictureInput:
    """What a picture field holds.

    Attributes:
        data: the picture file as it was handed in.
        mask: None when nothing is painted, else a PNG, mode L, 255 where the picture may change.
    """

    data: bytes
    mask: bytes | None


class PictureReader:
    """Reads and checks the values of picture fields.

    Args:
        upload_folder: where Gradio keeps uploads; no other file is read.
        picture_by_id: bytes of a picture that this owner may see.
    """

    def __init__(self, upload_folder: Path, picture_by_id: Callable[[str, str], bytes]) -> None:
        self._folder = upload_folder.resolve()
        self._picture_by_id = picture_by_id

    def read(self, payload: object, owner: str, *, field: str) -> PictureInput | None:
        """The picture and mask in a field's value; None when the field is empty.

        Raises:
            RequestError: the value is not what the field sends; ``field`` names it.
        """
        value = payload if isinstance(payload, dict) else {}
        image = value.get("image")
        if not isinstance(image, dict):
            return None
        data = self._picture(image, owner, field)
        return PictureInput(data, _mask(value.get("mask"), _size(data, field), field))

    def mask_of(self, file: bytes, picture: bytes, field: str) -> bytes | None:
        """A mask from a picture file: white is what may change; None when it is all black.

        Raises:
            RequestError: the file is no picture, or has another size than ``picture``.
        """
        size, wanted = _size(file, field), _size(picture, field)
        if size != wanted:
            raise RequestError(field, _wrong_size(size, wanted))
        with Image.open(io.BytesIO(file)) as image:
            return _binary(image.convert("L"))

    def _picture(self, image: dict[str, object], owner: str, field: str) -> bytes:
        identifier, path = image.get("id"), image.get("path")
        if isinstance(identifier, str) and identifier:
            return self._picture_by_id(identifier, owner)
        if not isinstance(path, str):
            raise RequestError(field, "The picture did not arrive; choose it again.")
        file = Path(path).resolve()
        if not file.is_relative_to(self._folder) or not file.is_file():
            raise RequestError(field, "The uploaded picture is gone from the server; choose it again.")
        return file.read_bytes()


def _size(data: bytes, field: str) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(
            field, "This file is not a picture that can be read; use PNG, JPEG or WebP."
        ) from error


def _mask(sent: object, size: tuple[int, int], field: str) -> bytes | None:
    """The drawing as a mask: its alpha channel, opaque where the brush covered at least half a pixel."""
    if not sent:
        return None
    if not isinstance(sent, str) or not sent.startswith(PNG_PREFIX) or len(sent) > MAX_MASK_BYTES:
        raise RequestError(field, "The mask did not arrive as a PNG; draw it again.")
    try:
        with Image.open(
            io.BytesIO(base64.b64decode(sent[len(PNG_PREFIX) :], validate=True)), formats=["PNG"]
        ) as png:
            if png.size != size:
                raise RequestError(field, _wrong_size(png.size, size))
            alpha = png.convert("RGBA").getchannel("A")
    except (binascii.Error, OSError, ValueError, SyntaxError) as error:
        raise RequestError(field, "The mask could not be read; draw it again.") from error
    return _binary(alpha)


def _wrong_size(mask: tuple[int, int], picture: tuple[int, int]) -> str:
    return (
        f"The mask is {mask[0]}x{mask[1]} but the picture is {picture[0]}x{picture[1]}; "
        "they must have the same size."
    )


def _binary(grey: Image.Image) -> bytes | None:
    """PNG of mode L with 0 and 255 alone; None when nothing is white."""
    mask = grey.point([0] * 128 + [255] * 128)
    if mask.getbbox() is None:
        return None
    out = io.BytesIO()
    mask.save(out, "PNG")
    return out.getvalue()
