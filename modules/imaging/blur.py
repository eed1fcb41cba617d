"""Gaussian blur of 8-bit masks in the fixed-point arithmetic of OpenCV, value for value.

A picture inpainted elsewhere can only be reproduced with the same mask, and the reference blurs with
OpenCV, whose 8-bit filter rounds its weights to 1/256. This is that filter along one axis at a time.
"""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian_blur_axis", "gaussian_weights"]

_ONE = 256  # weights have eight fractional bits


def gaussian_weights(size: int, sigma: float) -> tuple[int, ...]:
    """Weights in 1/256, symmetric, with the sum 256.

    Rounding errors are carried to the next weight, outermost first; the middle takes what is left.

    Args:
        size: number of weights, odd.
        sigma: standard deviation in pixels, > 0.
    """
    half = size // 2
    exact = [math.exp(-((index - half) ** 2) / (2 * sigma * sigma)) for index in range(half)]
    total = 2 * math.fsum(exact) + 1
    error = 0.0
    outer: list[int] = []
    for value in exact:
        wanted = value / total * _ONE + error
        rounded = round(wanted)
        error = wanted - rounded
        outer.append(rounded)
    return (*outer, _ONE - 2 * sum(outer), *reversed(outer))


def gaussian_blur_axis(pixels: NDArray[np.uint8], sigma: float, size: int, axis: int) -> NDArray[np.uint8]:
    """Blur along one axis; pixels beyond the border mirror those within, the border itself not repeated.

    Args:
        pixels: (H, W) of 0..255.
        sigma: standard deviation in pixels.
        size: number of weights, odd.
        axis: 0 blurs vertically, 1 horizontally.
    """
    weights = gaussian_weights(size, sigma)
    half = size // 2
    padding = [(0, 0), (0, 0)]
    padding[axis] = (half, half)
    single = pixels.shape[axis] == 1
    padded = np.pad(pixels, padding, mode="edge" if single else "reflect").astype(np.int32)
    length = pixels.shape[axis]
    total = np.full(pixels.shape, _ONE // 2, dtype=np.int32)  # rounds half up
    for offset, weight in enumerate(weights):
        if weight:
            total += weight * padded.take(range(offset, offset + length), axis=axis)
    return np.clip(total // _ONE, 0, 255).astype(np.uint8)
