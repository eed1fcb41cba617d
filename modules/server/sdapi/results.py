"""Finished pictures as A1111 sends them: base64, the file's own bytes where they fit."""

import base64
from pathlib import Path

from PIL import Image

from modules.domain.job import ResultImage
from modules.exceptions import NotFoundError
from modules.imaging.decode import picture_type
from modules.imaging.metadata import encode_image
from modules.settings.options import Settings

__all__ = ["encoded_result", "encoded_results"]

_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
}


def encoded_results(images: tuple[ResultImage, ...], settings: Settings) -> list[str]:
    """All pictures of a job in the wanted format; grids, whose index is -1, come first."""
    return [encoded_result(image, settings) for image in sorted(images, key=lambda image: image.index)]


def encoded_result(image: ResultImage, settings: Settings) -> str:
    """One picture as base64 in the format of ``samples_format``, its parameters inside.

    Raises:
        NotFoundError: its file was deleted.
    """
    try:
        content = Path(image.path).read_bytes()
    except OSError as error:
        raise NotFoundError("images", f"picture {image.id} was deleted") from error
    if picture_type(content[:12]) != _MEDIA_TYPES.get(settings.samples_format):
        content = _converted(Path(image.path), image.infotext, settings)
    return base64.b64encode(content).decode("ascii")


def _converted(path: Path, infotext: str, settings: Settings) -> bytes:
    with Image.open(path) as picture:
        return encode_image(
            picture,
            settings.samples_format,
            infotext,
            quality=settings.jpeg_quality,
            lossless=settings.webp_lossless,
        )
