"""Soft inpainting's last step: how much of the original shows, decided by what really changed.

Where the latent moved far from the original the result is shown, where it hardly moved the original is.
The distances are smoothed by a weighted histogram first, so that single cells neither stick out nor
are lost.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from modules.imaging.masks import Box, overlay_image, uncrop
from modules.imaging.resize import ResizeMode, resize_image

__all__ = ["gaussian_kernel", "histogram_filter", "soft_overlay", "soft_overlay_mask"]

Plane = NDArray[np.float64]

_KERNEL_DEVIATION = 1.5  # cells
_KERNEL_RADIUS = 2  # cells
_EDGE_BLUR = 4  # pixels; hides the steps of the latent grid


def soft_overlay_mask(
    distance: NDArray[np.float32],
    paint: NDArray[np.float32],
    width: int,
    height: int,
    *,
    preservation_strength: float = 0.5,
    mask_influence: float = 0.0,
    difference_threshold: float = 0.5,
    difference_contrast: float = 2.0,
) -> Image.Image:
    """Where the result is shown (white) and where the original (black).

    Args:
        distance: (h, w), length of the difference of result and original over the latent's channels.
        paint: (h, w) of 0..1, the latent mask, 1 is repainted.
        width: that was worked at, in pixels.
        height: that was worked at, in pixels.
        preservation_strength: as set by the user, 0..8.
        mask_influence: 0 looks at differences only, 1 at the mask too.
        difference_threshold: distance at which both show in equal parts, times the mask's say.
        difference_contrast: how suddenly one gives way to the other.

    Returns:
        Mode L, ``width`` x ``height``.
    """
    kernel = gaussian_kernel(_KERNEL_DEVIATION, _KERNEL_RADIUS)
    smooth = histogram_filter(distance.astype(np.float32), kernel, lowest=0.9, highest=1.0)
    smooth = histogram_filter(smooth, kernel, lowest=0.25, highest=0.75)
    kept = 1 - np.clip(paint.astype(np.float32), 0, 1) ** (preservation_strength / 2)
    say = 0.5 * (1 - mask_influence) + kept * mask_influence
    half = difference_threshold * (say / (1.00001 - say))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shown = 1 / (1 + (smooth / half) ** difference_contrast)
    opacity = np.nan_to_num(1 - _smootherstep(shown))
    mask = Image.fromarray(np.clip(255 * opacity, 0, 255).astype(np.uint8))
    mask = resize_image(ResizeMode.FILL, mask, width, height).convert("L")
    return mask.filter(ImageFilter.GaussianBlur(_EDGE_BLUR))


def soft_overlay(original: Image.Image, mask: Image.Image, paste_to: Box | None) -> Image.Image:
    """What is laid over the result in place of the hard overlay; mode RGBA.

    Args:
        original: the start picture, flat, at the size of the hard overlay.
        mask: of :func:`soft_overlay_mask`.
        paste_to: ``(x, y, width, height)`` of the part that was worked on; None is the whole picture.
    """
    if paste_to is not None:
        mask = uncrop(mask, original.size, paste_to).convert("L")
    return overlay_image(original, mask)


def gaussian_kernel(deviation: float, radius: int) -> Plane:
    """(2 radius + 1, 2 radius + 1) weights ``exp(-r² / deviation²)``, lowered to reach 0 at radius + 1."""
    zero = math.exp(-((radius + 1.0) ** 2) / deviation**2)
    offsets = np.arange(-radius, radius + 1)
    squares = offsets[:, None] ** 2 + offsets[None, :] ** 2
    return np.maximum(0.0, (np.exp(-squares / deviation**2) - zero) / (1 - zero))


def histogram_filter(
    values: NDArray[np.float32], kernel: Plane, *, lowest: float, highest: float, width: float = 1.0
) -> NDArray[np.float32]:
    """Replace each value by the mean of a range of quantiles of its weighted neighbours.

    Args:
        values: (H, W).
        kernel: weights of the neighbours, square, odd; neighbours beyond the border have none.
        lowest: lower end of the range, 0..1.
        highest: upper end of the range, 0..1.
        width: least width of the range, in weight.
    """
    radius = kernel.shape[0] // 2
    rows, columns = values.shape
    size = kernel.shape[0]
    inside = np.pad(np.ones_like(values), radius)
    padded = np.pad(values, radius)
    near = np.lib.stride_tricks.sliding_window_view(padded, (size, size)).reshape(rows, columns, -1)
    present = np.lib.stride_tricks.sliding_window_view(inside, (size, size)).reshape(rows, columns, -1)
    weights = present.astype(np.float64) * kernel.reshape(-1)
    order = np.argsort(near, axis=-1, kind="stable")
    near, weights = np.take_along_axis(near, order, axis=-1), np.take_along_axis(weights, order, axis=-1)
    upper = np.cumsum(weights, axis=-1)
    total = upper[..., -1]
    start, end = _range_of(total, lowest, highest, width)
    overlap = np.minimum(end[..., None], upper) - np.maximum(start[..., None], upper - weights)
    overlap = np.maximum(overlap, 0.0)
    mean: NDArray[np.float64] = (near * overlap).sum(axis=-1) / overlap.sum(axis=-1)
    return mean.astype(np.float32)


def _range_of(total: Plane, lowest: float, highest: float, width: float) -> tuple[Plane, Plane]:
    start, end = total * lowest, total * highest
    narrow = end - start < width
    centre = (start + end) / 2
    start, end = np.where(narrow, centre - width / 2, start), np.where(narrow, centre + width / 2, end)
    above = narrow & (end > total)
    start, end = np.where(above, total - width, start), np.where(above, total, end)
    below = narrow & (start < 0)
    return np.where(below, 0.0, start), np.where(below, width, end)


def _smootherstep(x: Plane) -> Plane:
    step: Plane = x * x * x * (x * (x * 6 - 15) + 10)
    return step
