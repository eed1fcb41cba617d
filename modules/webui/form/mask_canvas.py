"""Pictures that a user hands in, and what he draws on them: a canvas of our own in the page.

The page sends no file path that would have to be trusted: a dropped picture goes through Gradio's
upload and must lie in its upload folder, a picture sent from a result is named by its id, and a
drawing is a PNG inside the value itself.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gradio as gr
from PIL import Image

from modules.exceptions import RequestError
from modules.imaging.decode import DECODER_ERRORS, decode_base64, load_image
from modules.imaging.masks import binary_mask
from modules.imaging.sketch import lay_over
from modules.webui.assets import asset_text, component_script

__all__ = ["Draws", "PictureInput", "PictureReader", "as_png", "mask_of_file", "picture_field"]

MAX_DRAWING_BYTES = 96 * 2**20  # of base64; a mask of 8192 x 8192 stays far below
PNG_PREFIX = "data:image/png;base64,"
PICTURE = "The picture"

Draws = Literal["no", "mask", "colour"]


def picture_field(elem_id: str, label: str, *, draws: Draws = "no") -> gr.HTML:
    """A field for one picture, on which a mask or colours can be drawn.

    Its value is ``{"image": {"id" | "path", "url", "name"}, "size": [width, height], "mask": data URI
    of a PNG | "paint": {"png": data URI, "x", "y"}}``.
    """
    return gr.HTML(
        {},
        html_template=asset_text("canvas.html").replace("LABEL", label).replace("DRAW", draws),
        js_on_load=component_script("canvas.js"),
        elem_id=elem_id,
        elem_classes=["picture-field"],
        apply_default_css=False,
    )


@dataclass(frozen=True)
class PictureInput:
    """What a picture field holds.

    Attributes:
        data: the picture file as it was handed in.
        image: the same, decoded and upright.
        mask: None when nothing is drawn, else mode L, white where the picture may change.
        painted: None when nothing is painted, else the picture with its paint; mode RGB.
    """

    data: bytes
    image: Image.Image
    mask: Image.Image | None = None
    painted: Image.Image | None = None


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
        """The picture and drawing in a field's value; None when the field is empty.

        Raises:
            RequestError: the value is not what the field sends; ``field`` names it.
        """
        data = self.content(payload, owner, field=field)
        if data is None or not isinstance(payload, dict):
            return None
        image = _decoded(data, field)
        return PictureInput(
            data,
            image,
            _mask(payload.get("mask"), image.size, field),
            _painted(payload.get("paint"), image, field),
        )

    def content(self, payload: object, owner: str, *, field: str) -> bytes | None:
        """The picture's file in a field's value, as it was handed in; None when the field is empty.

        Raises:
            RequestError: the value is not what the field sends, or the file is gone; ``field`` names it.
        """
        source = payload.get("image") if isinstance(payload, dict) else None
        return self._file(source, owner, field) if isinstance(source, dict) else None

    def uploaded(self, path: object, *, field: str) -> Path:
        """A file of the upload folder that the page names.

        Raises:
            RequestError: it is not there.
        """
        file = Path(str(path)).resolve()
        if not file.is_relative_to(self._folder) or not file.is_file():
            raise RequestError(field, "The uploaded picture is gone from the server; choose it again.")
        return file

    def _file(self, source: dict[str, object], owner: str, field: str) -> bytes:
        identifier, path = source.get("id"), source.get("path")
        if isinstance(identifier, str) and identifier:
            return self._picture_by_id(identifier, owner)
        if not isinstance(path, str):
            raise RequestError(field, "The picture did not arrive; choose it again.")
        return self.uploaded(path, field=field).read_bytes()


def as_png(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def mask_of_file(file: PictureInput, picture: PictureInput, field: str) -> Image.Image | None:
    """A mask from a picture file: its transparency or its brightness; None when it is all black.

    Raises:
        RequestError: it has another size than ``picture``.
    """
    if file.image.size != picture.image.size:
        raise RequestError(field, _wrong_size(file.image.size, picture.image.size))
    return _unless_black(binary_mask(file.image))


def _decoded(data: bytes, field: str) -> Image.Image:
    try:
        return load_image(data, field=PICTURE)
    except RequestError as error:
        raise RequestError(field, str(error)) from error


def _mask(sent: object, size: tuple[int, int], field: str) -> Image.Image | None:
    """The drawing as a mask: grey as it is, of a coloured one the opacity, opaque from one half on."""
    png = _drawing(sent, field)
    if png is None:
        return None
    if png.size != size:
        raise RequestError(field, _wrong_size(png.size, size))
    if png.mode in {"RGBA", "LA", "P"}:
        return _unless_black(png.convert("RGBA").getchannel("A").point([0] * 128 + [255] * 128))
    return _unless_black(png.convert("L"))


def _painted(sent: object, image: Image.Image, field: str) -> Image.Image | None:
    paint = sent if isinstance(sent, dict) else {}
    png = _drawing(paint.get("png"), field)
    if png is None:
        return None
    x, y = (value if isinstance(value, int) else -1 for value in (paint.get("x"), paint.get("y")))
    if not (0 <= x < image.width and 0 <= y < image.height):
        raise RequestError(field, "The drawing did not arrive whole; draw it again.")
    return lay_over(image, png.convert("RGBA"), (x, y))


def _drawing(sent: object, field: str) -> Image.Image | None:
    if not sent:
        return None
    if not isinstance(sent, str) or not sent.startswith(PNG_PREFIX) or len(sent) > MAX_DRAWING_BYTES:
        raise RequestError(field, "The drawing did not arrive as a PNG; draw it again.")
    try:
        png = Image.open(io.BytesIO(decode_base64(sent, field=field)), formats=["PNG"])
        png.load()
    except (RequestError, *DECODER_ERRORS) as error:
        raise RequestError(field, "The drawing could not be read; draw it again.") from error
    return png


def _wrong_size(mask: tuple[int, int], picture: tuple[int, int]) -> str:
    return (
        f"The mask is {mask[0]}x{mask[1]} but the picture is {picture[0]}x{picture[1]}; "
        "they must have the same size."
    )


def _unless_black(mask: Image.Image) -> Image.Image | None:
    return None if mask.getbbox() is None else mask
