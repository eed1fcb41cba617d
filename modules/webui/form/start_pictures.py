"""What an image-to-image job starts from: the ways in which a tab hands pictures in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from modules.exceptions import NotFoundError, RequestError
from modules.imaging.decode import load_image
from modules.imaging.masks import binary_mask
from modules.imaging.resize import flatten
from modules.imaging.sketch import inpaint_sketch, painted_mask
from modules.webui.form.mask_canvas import PictureInput, PictureReader, as_png, mask_of_file
from modules.webui.form.request_builder import Pictures

__all__ = ["START_MODES", "Start", "StartMode", "StartReader", "copied_picture", "load_start", "mode_of"]

Kind = Literal["picture", "sketch", "mask", "mask sketch", "mask file", "batch"]


@dataclass(frozen=True)
class StartMode:
    """One way to hand pictures in.

    Attributes:
        name: as its tab is called; the value of the form's ``mode``.
        kind: what is drawn or handed in.
        field: key of the field with the picture, "" for a batch.
        mask_field: key of the field with a mask from a file.
    """

    name: str
    kind: Kind
    field: str = ""
    mask_field: str = ""

    @property
    def has_mask(self) -> bool:
        """Whether the options for masks apply."""
        return self.kind.startswith("mask")


START_MODES: tuple[StartMode, ...] = (
    StartMode("img2img", "picture", "image"),
    StartMode("Sketch", "sketch", "sketch"),
    StartMode("Inpaint", "mask", "masked"),
    StartMode("Inpaint sketch", "mask sketch", "masked_sketch"),
    StartMode("Inpaint upload", "mask file", "base", "base_mask"),
    StartMode("Batch", "batch"),
)
"""The modes of the tab img2img, in A1111's order."""


@dataclass(frozen=True)
class Start:
    """What a job starts from.

    Attributes:
        pictures: in the blob store.
        size: of the first, in pixels.
        origin: sha256 of the file that was painted on; "" where the pictures are the files themselves.
    """

    pictures: Pictures
    size: tuple[int, int]
    origin: str = ""


class StartReader:
    """Reads what a form starts from.

    Args:
        reader: of single picture fields.
        put: stores a picture's bytes; returns their id.
    """

    def __init__(self, reader: PictureReader, put: Callable[[bytes], str]) -> None:
        self._reader = reader
        self._put = put

    def read(self, mode: StartMode, values: Mapping[str, object], owner: str) -> Start:
        """The start of one job by the values of its form.

        Raises:
            RequestError: something is missing or unreadable; ``field`` is the key of its control.
        """
        found = self._field(mode.field, values, owner, "Choose a picture to start from first.")
        if mode.kind == "picture":
            pictures = Pictures(self._put(found.data))
        elif mode.kind == "sketch":
            painted = found.painted
            pictures = Pictures(self._put(found.data if painted is None else as_png(painted)))
        elif mode.kind == "mask sketch":
            pictures = self._sketched(found, values, mode.field)
        else:
            pictures = self._masked(found, mode, values, owner)
        origin = "" if found.painted is None else sha256(found.data).hexdigest()
        return Start(pictures, found.image.size, origin)

    def _masked(
        self, found: PictureInput, mode: StartMode, values: Mapping[str, object], owner: str
    ) -> Pictures:
        mask = found.mask
        if mode.mask_field:
            file = self._field(mode.mask_field, values, owner, "Choose a mask: white is what shall change.")
            mask = mask_of_file(file, found, mode.mask_field)
            if mask is None:
                raise NotFoundError(mode.mask_field, "The mask is all black; white is what shall change.")
        if mask is None:
            raise NotFoundError(mode.field, "Paint over what shall change first.")
        return Pictures(self._put(found.data), self._put(as_png(mask)))

    def _sketched(self, found: PictureInput, values: Mapping[str, object], field: str) -> Pictures:
        if found.painted is None:
            raise NotFoundError(field, "Paint on the picture first; what you paint will change.")
        original = flatten(found.image, "#ffffff").convert("RGB")
        if painted_mask(original, found.painted).getbbox() is None:
            raise NotFoundError(field, "The paint has the very colours of the picture; choose others.")
        picture, mask = inpaint_sketch(
            original,
            found.painted,
            transparency=_number(values.get("mask_alpha"), 0),
            blur=_number(values.get("mask_blur"), 4),
        )
        return Pictures(self._put(as_png(picture)), self._put(as_png(mask)))

    def _field(self, key: str, values: Mapping[str, object], owner: str, missing: str) -> PictureInput:
        found = self._reader.read(values.get(key), owner, field=key)
        if found is None:
            raise NotFoundError(key, missing)
        return found


def mode_of(modes: tuple[StartMode, ...], values: Mapping[str, object]) -> StartMode:
    """The mode that a form's values name, else the first."""
    return next((mode for mode in modes if mode.name == values.get("mode")), modes[0])


def copied_picture(value: object, picture: PictureInput, uploads: Path) -> dict[str, object]:
    """Value of another field with the picture of a field, its paint laid over it.

    Args:
        value: of the field that is copied.
        picture: what it holds.
        uploads: folder in which a painted picture is put for the page to show.
    """
    if picture.painted is None:
        return {"image": value["image"]} if isinstance(value, dict) else {}
    data = as_png(picture.painted)
    file = uploads / sha256(data).hexdigest() / "painted.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return {"image": {"path": str(file), "url": f"gradio_api/file={file}", "name": file.name}}


def load_start(picture: bytes, mask: bytes | None, put: Callable[[bytes], str], *, field: str) -> Start:
    """Start from the files of a picture and perhaps of its mask.

    Raises:
        RequestError: one of them cannot be read; ``field`` is repeated.
    """
    try:
        image = load_image(picture, field="The picture")
        drawn = None if mask is None else binary_mask(load_image(mask, field="The mask"))
    except RequestError as error:
        raise RequestError(field, str(error)) from error
    if drawn is not None and drawn.size != image.size:
        drawn = drawn.resize(image.size)
    return Start(Pictures(put(picture), None if drawn is None else put(as_png(drawn))), image.size)


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default
