"""What can be said about the colours of a picture without any network."""

import colorsys

import numpy as np
from numpy.typing import NDArray

from modules.training.palette import COLOURS
from modules.training.recolouring import dominant_hue

__all__ = ["background_is", "hue_is"]

_CORNER = 1 / 16  # of the side
_NEAR = 20.0  # difference in CIE Lab up to which two colours have the same name
_HUE_NEAR = 25.0  # degrees
_APART = 60  # difference of RGB, summed, from which on a pixel is no background

# Linear sRGB to XYZ, divided by the white point D65 (IEC 61966-2-1).
_TO_XYZ = np.array([[0.4339, 0.3763, 0.1898], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]])


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGB (..., 3) in 0..255 to CIE Lab."""
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _background(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Median colour (3,) of the four corners of a picture (H, W, 3)."""
    patch = max(1, round(len(picture) * _CORNER))
    rows = np.concatenate([picture[:patch], picture[-patch:]])
    corners = np.concatenate([rows[:, :patch], rows[:, -patch:]], axis=1)
    return np.asarray(np.median(corners.reshape(-1, 3).astype(np.float64), axis=0))


def background_is(picture: NDArray[np.uint8], colour: str) -> bool:
    """Whether the corners of a picture (H, W, 3) have the named colour: within 20 units of CIE Lab (1976)."""
    difference = _lab(_background(picture)) - _lab(np.array(COLOURS[colour], np.float64))
    return bool(np.linalg.norm(difference) < _NEAR)


def hue_is(picture: NDArray[np.uint8], colour: str) -> bool:
    """Whether what stands before the background has one dominant hue, within 25 degrees of the colour's."""
    distance = np.abs(picture.astype(np.float64) - _background(picture)).sum(-1)
    alpha = np.where(distance > _APART, 255, 0).astype(np.uint8)
    hue = dominant_hue(np.concatenate([picture, alpha[..., None]], -1))
    wanted = colorsys.rgb_to_hsv(*(channel / 255 for channel in COLOURS[colour]))[0] * 360
    return hue is not None and abs((hue - wanted + 180) % 360 - 180) <= _HUE_NEAR
