"""What the scripts of image to image share."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from modules.domain.request import GenerationRequest, ImageToImage
from modules.exceptions import RequestError

__all__ = ["Growth", "grow", "start_picture"]

_GRID = 64  # pixels; a grown picture's sides are multiples of this


@dataclass(frozen=True)
class Growth:
    """How a picture grows: pixels to add on each side, and its size afterwards."""

    left: int
    right: int
    up: int
    down: int
    width: int
    height: int


def start_picture(request: GenerationRequest) -> ImageToImage:
    """The image-to-image part of a request.

    Raises:
        RequestError: there is none.
    """
    if request.image_to_image is None:
        raise RequestError("init_images", "this script needs a picture to start from")
    return request.image_to_image


def grow(size: tuple[int, int], pixels: int, directions: Collection[str]) -> Growth:
    """Add at least ``pixels`` in each direction, and more until both sides are multiples of 64 pixels."""
    left, right, width = _along(size[0], pixels * ("left" in directions), pixels * ("right" in directions))
    up, down, height = _along(size[1], pixels * ("up" in directions), pixels * ("down" in directions))
    return Growth(left, right, up, down, width, height)


def _along(length: int, before: int, after: int) -> tuple[int, int, int]:
    grown = math.ceil((length + before + after) / _GRID) * _GRID
    if before > 0:
        before = before * (grown - length) // (before + after)
    if after > 0:
        after = grown - length - before
    return before, after, grown
