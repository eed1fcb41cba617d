"""Finished pictures as A1111 sends them: base64, the file's own bytes where they fit."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pybase64
from PIL import Image
from pydantic import JsonValue

from modules.domain.job import ResultImage
from modules.exceptions import NotFoundError
from modules.imaging.decode import picture_type
from modules.imaging.metadata import encode_image
from modules.server.sdapi.payloads import GenerationResponse
from modules.settings.options import Settings

__all__ = ["generation_answer"]

_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
}


def generation_answer(
    images: tuple[ResultImage, ...],
    settings: Settings,
    parameters: Mapping[str, JsonValue],
    info: str,
    read: Callable[[Path], bytes],
) -> bytes:
    """What txt2img and img2img answer, as JSON.

    Args:
        images: a job's pictures, grids included, which come first; none if they are not to be sent.
        settings: say in which format they are wanted.
        parameters: the request as it was understood.
        info: of the whole job, as JSON text.
        read: gives the content of a picture's file.

    Raises:
        NotFoundError: a picture's file was deleted.
    """
    encoded = [_encoded(image, settings, read) for image in sorted(images, key=lambda image: image.index)]
    rest = GenerationResponse(images=[], parameters=dict(parameters), info=info).model_dump_json().encode()
    # nearly all of it is base64, of which no character has to be escaped or looked at again
    before, after = rest.split(b"[]", 1)
    return b"".join((before, b"[", b",".join(b'"%b"' % image for image in encoded), b"]", after))


def _encoded(image: ResultImage, settings: Settings, read: Callable[[Path], bytes]) -> bytes:
    """One picture as base64 in the format of ``samples_format``, its parameters inside."""
    try:
        content = read(Path(image.path))
    except FileNotFoundError as error:
        raise NotFoundError("images", f"picture {image.id} was deleted") from error
    if picture_type(content[:12]) != _MEDIA_TYPES.get(settings.samples_format):
        content = _converted(content, image.infotext, settings)
    return pybase64.b64encode(content)


def _converted(content: bytes, infotext: str, settings: Settings) -> bytes:
    with Image.open(io.BytesIO(content)) as picture:
        return encode_image(
            picture,
            settings.samples_format,
            infotext,
            quality=settings.jpeg_quality,
            lossless=settings.webp_lossless,
        )
