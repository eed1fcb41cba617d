"""Giving an image-to-image result the colours of its start picture.

The histograms of L*, a* and b* are matched to the original's, then the result's own brightness is put
back, so that only hue and saturation come from the original.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.imaging.lab import lab_to_rgb, rgb_to_lab

__all__ = ["color_target", "correct_colors"]


def color_target(image: Image.Image) -> NDArray[np.uint8]:
    """What :func:`correct_colors` aims at: (H, W, 3) L*a*b* of the start picture."""
    return rgb_to_lab(np.asarray(image.convert("RGB")))


def correct_colors(image: Image.Image, target: NDArray[np.uint8]) -> Image.Image:
    """The picture with the hues and saturations of the target; mode RGB.

    Args:
        image: the result.
        target: of :func:`color_target`; its size may differ.
    """
    pixels = np.asarray(image.convert("RGB"))
    lab = rgb_to_lab(pixels)
    matched = np.stack([_match_histogram(lab[..., c], target[..., c]) for c in range(3)], axis=-1)
    return Image.fromarray(_with_luminosity(lab_to_rgb(matched), pixels))


def _match_histogram(values: NDArray[np.uint8], target: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Map values so that their cumulative histogram follows the target's; fractions are cut off."""
    counts = np.bincount(values.ravel(), minlength=256)
    target_counts = np.bincount(target.ravel(), minlength=256)
    present = np.flatnonzero(target_counts)
    quantiles = np.cumsum(counts) / values.size
    target_quantiles = np.cumsum(target_counts[present]) / target.size
    return np.interp(quantiles, target_quantiles, present).astype(np.uint8)[values]


def _with_luminosity(pixels: NDArray[np.uint8], source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours of ``pixels`` with the luminosity of ``source``.

    Source: W3C Compositing and Blending Level 1, section 10.3, SetLum and ClipColor.
    """
    colours = pixels / 255
    colours += _luminance(source / 255) - _luminance(colours)
    luminance = _luminance(colours)
    lowest, highest = colours.min(axis=-1, keepdims=True), colours.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        colours = np.where(
            lowest < 0, luminance + (colours - luminance) * luminance / (luminance - lowest), colours
        )
        colours = np.where(
            highest > 1, luminance + (colours - luminance) * (1 - luminance) / (highest - luminance), colours
        )
    return (np.clip(np.nan_to_num(colours), 0, 1) * 255).astype(np.uint8)  # cut, not rounded


def _luminance(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    red, green, blue = (colours[..., channel : channel + 1] for channel in range(3))
    luminance: NDArray[np.float64] = red * 0.299 + green * 0.587 + blue * 0.114
    return luminance
