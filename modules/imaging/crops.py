"""Cutting pictures for a training set: pieces, the part that matters, a fitting size; mirrored copies."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from modules.domain.extras import AutoSizedCrop, FlipKind, FocalCrop, SplitOversized

__all__ = ["auto_sized_crop", "flipped_copies", "focal_crop", "split_oversized"]

STEP = 64  # sides of auto-sized crops are multiples of this
ANALYSED_SIDE = 192  # pixels; where the eye goes does not need more
BLOCK = 8  # pixels; entropy is taken of blocks
STRONGEST = 0.1  # share of the analysed pixels that decide

Energy = NDArray[np.float64]


def split_oversized(image: Image.Image, width: int, height: int, how: SplitOversized) -> list[Image.Image]:
    """Overlapping pieces of ``width`` x ``height`` pixels; the picture alone if its proportions are near."""
    ratio = (image.height * width) / (image.width * height)
    if ratio == 1 or min(ratio, 1 / ratio) > how.threshold:
        return [image]
    if ratio < 1:  # a wide one is a tall one lying on its side
        turn = Image.Transpose.TRANSPOSE
        return [piece.transpose(turn) for piece in split_oversized(image.transpose(turn), height, width, how)]
    long = image.height * width // image.width
    resized = image.resize((width, long), Image.Resampling.LANCZOS)
    count = max(2, math.ceil((long - height * how.overlap) / (height * (1 - how.overlap))))
    starts = [int((long - height) / (count - 1) * index) for index in range(count)]
    return [resized.crop((0, start, width, start + height)) for start in starts]


def auto_sized_crop(image: Image.Image, how: AutoSizedCrop) -> Image.Image | None:
    """The picture at the size that suits it best, cut evenly at both ends; None if no size fits."""
    proportions = image.width / image.height

    def error(width: int, height: int) -> float:
        ratio = proportions / (width / height)
        return 1 - min(ratio, 1 / ratio)

    sides = range(how.min_side, how.max_side + 1, STEP)
    sizes = [
        (width, height)
        for width in sides
        for height in sides
        if how.min_area <= width * height <= how.max_area and error(width, height) <= how.threshold
    ]
    if not sizes:
        return None
    if how.objective == "Maximize area":
        best = max(sizes, key=lambda size: (size[0] * size[1], -error(*size)))
    else:
        best = max(sizes, key=lambda size: (-error(*size), size[0] * size[1]))
    return ImageOps.fit(image, best, Image.Resampling.LANCZOS)


def focal_crop(
    image: Image.Image,
    width: int,
    height: int,
    how: FocalCrop,
    faces: Sequence[tuple[float, float]] = (),
) -> Image.Image:
    """The picture at ``width`` x ``height`` pixels, cut so that what matters is in the middle.

    Args:
        image: any mode.
        width: in pixels.
        height: in pixels.
        how: what matters.
        faces: centres of faces in pixels, where they are known.
    """
    scale = max(width / image.width, height / image.height)
    size = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    resized = image.resize(size, Image.Resampling.LANCZOS)
    x, y = _focus(image, how, faces)
    left = min(max(0, round(x * size[0] - width / 2)), size[0] - width)
    top = min(max(0, round(y * size[1] - height / 2)), size[1] - height)
    return resized.crop((left, top, left + width, top + height))


def flipped_copies(image: Image.Image, flips: Sequence[FlipKind]) -> list[Image.Image]:
    """Mirrored copies of the wanted kinds, each kind once."""
    turns = {
        "Horizontal": Image.Transpose.FLIP_LEFT_RIGHT,
        "Vertical": Image.Transpose.FLIP_TOP_BOTTOM,
        "Both": Image.Transpose.ROTATE_180,
    }
    return [image.transpose(turn) for kind, turn in turns.items() if kind in flips]


def _focus(image: Image.Image, how: FocalCrop, faces: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Weighted mean of where the faces, the detail and the edges are, as shares of width and height."""
    small = image.convert("L")
    small.thumbnail((ANALYSED_SIDE, ANALYSED_SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float64)
    points = [(_centre(_entropy(grey)), how.entropy_weight), (_centre(_edges(grey)), how.edges_weight)]
    if faces:
        mean = np.mean(np.asarray(faces), axis=0)
        points.append(((float(mean[0]) / image.width, float(mean[1]) / image.height), how.face_weight))
    total = sum(weight for _, weight in points)
    if total == 0:
        return 0.5, 0.5
    return (
        sum(point[0] * weight for point, weight in points) / total,
        sum(point[1] * weight for point, weight in points) / total,
    )


def _edges(grey: Energy) -> Energy:
    down, across = np.gradient(grey) if min(grey.shape) > 1 else (np.zeros_like(grey), np.zeros_like(grey))
    return np.hypot(down, across)


def _entropy(grey: Energy) -> Energy:
    """Bits that the grey levels of each block hold."""
    height, width = (max(1, side // BLOCK) for side in grey.shape)
    energy = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            block = grey[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
            shares = np.bincount((block // 16).astype(np.int64).ravel()) / block.size
            shares = shares[shares > 0]
            energy[row, column] = -(shares * np.log2(shares)).sum()
    return energy


def _centre(energy: Energy) -> tuple[float, float]:
    """Centre of the strongest part; the middle where all is even."""
    strong = np.where(energy >= np.quantile(energy, 1 - STRONGEST), energy, 0.0)
    if strong.sum() == 0 or energy.max() == energy.min():
        return 0.5, 0.5
    rows, columns = (np.arange(side) + 0.5 for side in energy.shape)
    weight = strong.sum()
    x = (strong.sum(0) * columns).sum() / weight / energy.shape[1]
    y = (strong.sum(1) * rows).sum() / weight / energy.shape[0]
    return float(x), float(y)
