"""CIE L*a*b* in 8 bits, in the integer arithmetic of OpenCV, equal for every colour.

Colour correction matches histograms of these values, so each must be the one the reference would have.

Source: CIE 15; sRGB of IEC 61966-2-1 with the white point D65.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["lab_to_rgb", "rgb_to_lab"]

Pixels = NDArray[np.uint8]

_WHITE = np.array([0.950456, 1.0, 1.088754])
_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_TO_RGB = np.array(
    [[3.240479, -1.53715, -0.498535], [-0.969256, 1.875991, 0.041556], [0.055648, -0.204043, 1.057311]]
)
_MATRIX_BITS = 12  # fractional bits of the matrices
_ROOT_BITS = 15  # fractional bits of cube roots
_LINEAR = 255 * 8  # linear light has three bits more than the pixels
_BASE = 1 << 14  # 1.0 on the way back
_LOWEST = -8145  # of the intermediate values on the way back
_EPSILON = 216 / 24389  # below it the cube root is a straight line


def rgb_to_lab(pixels: Pixels) -> Pixels:
    """(H, W, 3) sRGB to (H, W, 3) L*a*b*: L scaled to 0..255, a and b with 128 added."""
    linear, roots, matrix = _forward_tables()
    light = linear[pixels]  # (H, W, 3)
    fx, fy, fz = (roots[_rounded(light @ row, _MATRIX_BITS)] for row in matrix)
    offset = 128 << _ROOT_BITS
    lightness = 296 * fy - (((16 * 255 << _ROOT_BITS) + 50) // 100)  # 296 is 116 * 255 / 100 rounded
    lab = np.stack([lightness, 500 * (fx - fy) + offset, 200 * (fy - fz) + offset], axis=-1)
    return np.clip(_rounded(lab, _ROOT_BITS), 0, 255).astype(np.uint8)


def lab_to_rgb(pixels: Pixels) -> Pixels:
    """The way back; colours outside sRGB are clipped."""
    luminance, roots, cubes, gamma, matrix = _backward_tables()
    lightness, a, b = (pixels[..., channel].astype(np.int64) for channel in range(3))
    fy = roots[lightness]
    # a / 500 and b / 200 in fixed point: multiplications by 53687 / 2^13 / 5 and 41943 / 2^9
    fx = fy + ((5 * a * 53687 + 128) >> 13) - 128 * _BASE // 500
    fz = fy - (((b * 41943 + 16) >> 9) - 128 * _BASE // 200 + 1)
    xyz = np.stack([cubes[fx - _LOWEST], luminance[lightness], cubes[fz - _LOWEST]], axis=-1)
    linear = np.clip(_rounded(xyz @ matrix.T, 14), 0, len(gamma) - 1)
    return gamma[linear]


def _rounded(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    return (values + (1 << (bits - 1))) >> bits


@cache
def _forward_tables() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Linear light of a pixel value, f() of linear light, and sRGB to XYZ over the white point."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    light = np.arange(_LINEAR * 3 // 2 + 12) / _LINEAR
    roots = np.rint(
        (1 << _ROOT_BITS) * np.where(light < _EPSILON, light * 841 / 108 + 16 / 116, np.cbrt(light))
    )
    roots[49] -= 1  # these two lie on the verge of rounding, and OpenCV computes them in single precision
    roots[628] += 1
    matrix = np.rint((1 << _MATRIX_BITS) * _TO_XYZ / _WHITE[:, None])
    return np.rint(_LINEAR * linear).astype(np.int64), roots.astype(np.int64), matrix.astype(np.int64)


@cache
def _backward_tables() -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Pixels, NDArray[np.int64]
]:
    """Luminance and f() of a lightness, the inverse of f(), pixel value of linear light, XYZ to sRGB."""
    index = np.arange(256)
    root = index * 100 * _BASE / (255 * 116) + 16 * _BASE / 116
    dark = index <= 20  # 8 * 255 / 100
    luminance = np.where(
        dark, np.rint(index * _BASE * 180 / (17 * 24389)), np.rint(root**3 / (_BASE * _BASE))
    )
    roots = np.where(dark, np.rint(_BASE * (16 / 116 + index * 5 / (3 * 17 * 29))), np.rint(root))
    f = np.arange(_LOWEST, _BASE * 9 // 4 + _LOWEST)
    line = _toward_zero(f * 108, 841) - _BASE * 16 // 116 * 108 // 841
    cube = _toward_zero(_toward_zero(f * f, _BASE) * f, _BASE)
    cubes = np.where(f <= 3390, line, cube)  # 6 / 29 of the base
    light = np.arange(4096) / 4096
    gamma = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    matrix = np.rint((1 << _MATRIX_BITS) * _TO_RGB * _WHITE)
    return (
        luminance.astype(np.int64),
        roots.astype(np.int64),
        cubes.astype(np.int64),
        np.clip(np.rint(255 * gamma), 0, 255).astype(np.uint8),
        matrix.astype(np.int64),
    )


def _toward_zero(values: NDArray[np.int64], divisor: int) -> NDArray[np.int64]:
    """Integer division that rounds towards zero, as C does."""
    quotient: NDArray[np.int64] = np.sign(values) * (np.abs(values) // divisor)
    return quotient
