"""Upscalers that need no network, and the rule by which any upscaler reaches a size.

An upscaler multiplies by what it was trained for; :func:`upscale` calls it until the picture is large
enough and finishes with Lanczos.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from PIL import Image

__all__ = ["PLAIN_UPSCALERS", "Upscaler", "upscale"]

Upscaler = Callable[[Image.Image, int, int], Image.Image]
"""``(picture, wanted width, wanted height) -> a larger picture``, by any factor."""

MAX_PASSES = 3  # a model that doubles gives eight times the size; more is never asked for
_GRID = 8  # the wanted size is rounded down to latent cells


def _lanczos(image: Image.Image, width: int, height: int) -> Image.Image:
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _nearest(image: Image.Image, width: int, height: int) -> Image.Image:
    return image.resize((width, height), Image.Resampling.NEAREST)


def _none(image: Image.Image, _width: int, _height: int) -> Image.Image:
    return image


PLAIN_UPSCALERS: Mapping[str, Upscaler] = MappingProxyType(
    {"None": _none, "Lanczos": _lanczos, "Nearest": _nearest}
)
"""A1111's three upscalers without a network, by their names, in A1111's order."""


def upscale(image: Image.Image, scale: float, upscaler: Upscaler) -> Image.Image:
    """Enlarge by ``scale``; the sides become multiples of 8 pixels.

    The upscaler is called up to three times, until both sides are large enough or a call changes
    nothing. Lanczos makes the exact size.
    """
    width = int((image.width * scale) // _GRID * _GRID)
    height = int((image.height * scale) // _GRID * _GRID)
    for attempt in range(MAX_PASSES):
        enough = image.width >= width and image.height >= height
        if enough and (attempt > 0 or scale == 1):
            break
        before = image.size
        image = upscaler(image, width, height)
        if image.size == before:
            break
    if image.size != (width, height):
        image = _lanczos(image, width, height)
    return image
