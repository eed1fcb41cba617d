"""The colour that a drawing has, and the same drawing in another colour."""

import colorsys
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modules.training.palette import COLOURS

__all__ = ["TARGET_COLOURS", "colour_of_hue", "dominant_hue", "paint", "recolour"]

TARGET_COLOURS: tuple[str, ...] = ("red", "orange", "yellow", "green", "blue", "purple", "pink")

# Hues, in degrees, that everybody calls by the name; the gaps between them are left unnamed.
_NAMED_HUES: Mapping[str, tuple[float, float]] = {
    "red": (-14, 12),
    "orange": (20, 38),
    "yellow": (43, 62),
    "green": (75, 165),
    "blue": (195, 240),
    "purple": (258, 295),
    "pink": (310, 342),
}
_WINDOW = 22.0  # degrees around the dominant hue that belong to it
_SHARE = 0.75  # of the saturated pixels must lie in the window
_COLOURED = 0.35  # of the opaque pixels must be saturated at all


def _to_hsv(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGB (..., 3) in 0..1 to hue in degrees, saturation and value in 0..1."""
    high, low = rgb.max(-1), rgb.min(-1)
    spread = np.maximum(high - low, 1e-9)
    r, g, b = (rgb[..., channel] for channel in range(3))
    sector = np.where(
        high == r, (g - b) / spread % 6, np.where(high == g, (b - r) / spread + 2, (r - g) / spread + 4)
    )
    return np.stack([sector * 60, (high - low) / np.maximum(high, 1e-9), high], -1)


def _to_rgb(hsv: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of :func:`_to_hsv`."""
    hue, saturation, value = (hsv[..., channel, None] for channel in range(3))
    offsets = np.array([5.0, 3.0, 1.0])
    k = (offsets + hue / 60) % 6
    return np.asarray(value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1))


def _distance(hue: NDArray[np.float64], centre: float) -> NDArray[np.float64]:
    """Signed difference of hues in degrees, in -180..180."""
    return (hue - centre + 180) % 360 - 180


def dominant_hue(rgba: NDArray[np.uint8]) -> float | None:
    """The one hue, in degrees, that a drawing (H, W, 4) has; None for grey or many-coloured ones."""
    hsv = _to_hsv(rgba[..., :3] / 255)
    opaque = rgba[..., 3] > 200
    saturated = opaque & (hsv[..., 1] > 0.35) & (hsv[..., 2] > 0.25)
    if saturated.sum() < _COLOURED * max(1, opaque.sum()):
        return None
    hues = hsv[..., 0][saturated]
    counts = np.bincount((hues // 5).astype(int) % 72, minlength=72)
    smooth = sum(np.roll(counts, shift) for shift in (-2, -1, 0, 1, 2))
    centre = float(np.argmax(smooth)) * 5 + 2.5
    near = np.abs(_distance(hues, centre)) <= _WINDOW
    if near.mean() < _SHARE:
        return None
    return (centre + float(_distance(hues[near], centre).mean())) % 360


def colour_of_hue(hue: float) -> str | None:
    """The name of a hue in degrees, or None where people would not agree."""
    for name, (low, high) in _NAMED_HUES.items():
        if low <= hue <= high or low <= hue - 360 <= high:
            return name
    return None


def recolour(rgba: NDArray[np.uint8], hue: float, colour: str) -> NDArray[np.uint8]:
    """The drawing (H, W, 4) with its dominant ``hue`` turned into a named colour, shading kept."""
    target_hue, target_saturation, target_value = colorsys.rgb_to_hsv(*(c / 255 for c in COLOURS[colour]))
    hsv = _to_hsv(rgba[..., :3] / 255)
    difference = _distance(hsv[..., 0], hue)
    chosen = (np.abs(difference) <= 1.6 * _WINDOW) & (hsv[..., 1] > 0.15)
    opaque = chosen & (rgba[..., 3] > 200)
    mean_saturation, mean_value = hsv[..., 1][opaque].mean(), hsv[..., 2][opaque].mean()
    turned = hsv.copy()
    turned[..., 0] = (target_hue * 360 + 0.5 * difference) % 360  # half: yellow shading must not turn green
    turned[..., 1] = np.clip(hsv[..., 1] * target_saturation / mean_saturation, 0, 1)
    turned[..., 2] = np.clip(hsv[..., 2] * target_value / mean_value, 0, 1)
    result = rgba.copy()
    result[..., :3][chosen] = np.round(_to_rgb(turned) * 255).astype(np.uint8)[chosen]
    return result


def paint(rgba: NDArray[np.uint8], colour: str) -> NDArray[np.uint8]:
    """A one-colour drawing (H, W, 4) in a named colour."""
    result = rgba.copy()
    result[..., :3] = COLOURS[colour]
    return result
