"""Small versions of pictures."""

import io
from pathlib import Path

from PIL import Image

from modules.exceptions import RequestError
from modules.imaging.decode import DECODER_ERRORS

__all__ = ["thumbnail_webp"]


def thumbnail_webp(path: Path, side: int) -> bytes:
    """A picture file as WebP whose longer side has at most ``side`` pixels.

    Raises:
        RequestError: the file is no picture that can be read.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP", "AVIF")) as image:
            image.draft("RGB", (side, side))
            image.thumbnail((side, side))
            small = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
            buffer = io.BytesIO()
            small.save(buffer, "WEBP", quality=80, method=2)
    except DECODER_ERRORS as error:
        raise RequestError("picture", "the file is not a picture that can be read") from error
    return buffer.getvalue()
