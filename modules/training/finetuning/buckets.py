"""Aspect-ratio buckets: pictures keep their shape as far as a batch can hold it."""

import math
from dataclasses import dataclass

__all__ = ["Fit", "bucket_sizes", "fit_picture", "nearest_bucket"]

Size = tuple[int, int]

_MAX_RATIO = 4.0  # longer pictures are cropped


@dataclass(frozen=True)
class Fit:
    """How a picture fills a bucket.

    Attributes:
        scaled: width and height in pixels to which it is scaled, at least the bucket's.
        left, top: pixels that are cut off there; the rest at the other side.
        bucket: width and height that remain.
    """

    scaled: Size
    left: int
    top: int
    bucket: Size


def bucket_sizes(resolution: int, step: int) -> tuple[Size, ...]:
    """Widths and heights, multiples of ``step``, of at most ``resolution`` squared pixels.

    For each height the largest width that fits, and the same upright; the square comes first. A resolution
    below ``step`` has only the square.
    """
    sizes = [(resolution, resolution)]
    for height in range(step, resolution, step):
        width = resolution**2 // height // step * step
        if height < width <= height * _MAX_RATIO:
            sizes += [(width, height), (height, width)]
    return tuple(sizes)


def nearest_bucket(width: int, height: int, sizes: tuple[Size, ...]) -> Size:
    """The bucket whose shape differs least, by the logarithm of the ratio of width and height."""
    ratio = math.log(width / height)
    return min(sizes, key=lambda size: abs(math.log(size[0] / size[1]) - ratio))


def fit_picture(width: int, height: int, bucket: Size) -> Fit:
    """Scale a picture until it covers the bucket and cut off what is over, evenly at both sides."""
    scale = max(bucket[0] / width, bucket[1] / height)
    scaled = (max(bucket[0], round(width * scale)), max(bucket[1], round(height * scale)))
    return Fit(scaled, (scaled[0] - bucket[0]) // 2, (scaled[1] - bucket[1]) // 2, bucket)
