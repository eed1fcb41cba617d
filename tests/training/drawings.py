"""A tiny library of drawings for the tests: discs and squares instead of icons."""

import numpy as np
from numpy.typing import NDArray

from modules.training.icons import Icon, IconLibrary

SIDE = 256


def disc(rgb: tuple[int, int, int], radius: float = 0.4) -> NDArray[np.uint8]:
    """An opaque disc on nothing, (256, 256, 4)."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    inside = x * x + y * y < radius * radius
    rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
    rgba[inside] = (*rgb, 255)
    return rgba


def library() -> IconLibrary:
    """A red apple in four styles and a grey ghost in two."""
    entries = [
        (Icon("noto", "1f34e", "red apple"), disc((220, 30, 30))),
        (Icon("fluent-flat", "1f34e", "red apple"), disc((230, 40, 35), 0.35)),
        (Icon("fluent-3d", "1f34e", "red apple"), disc((200, 20, 40), 0.38)),
        (Icon("fluent-high-contrast", "1f34e", "red apple"), disc((0, 0, 0), 0.3)),
        (Icon("noto", "1f47b", "ghost"), disc((200, 200, 200), 0.33)),
        (Icon("fluent-high-contrast", "1f47b", "ghost"), disc((0, 0, 0), 0.25)),
    ]
    return IconLibrary(tuple(icon for icon, _ in entries), np.stack([picture for _, picture in entries]))
