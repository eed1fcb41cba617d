"""Masks: which pixels are repainted, where the work is done, and how it is put back.

White (255) is repainted, black is kept, greys mix.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from modules.imaging.blur import gaussian_blur_axis
from modules.imaging.resize import ResizeMode, resize_image

__all__ = [
    "Box",
    "apply_overlay",
    "binary_mask",
    "blur_mask",
    "crop_region",
    "expand_crop_region",
    "fill_masked",
    "latent_mask",
    "mask_composite",
    "overlay_image",
    "uncrop",
    "whole_picture_overlay_mask",
]

Box = tuple[int, int, int, int]
"""``(x1, y1, x2, y2)`` in pixels, the second corner not included."""

# Blur radius in pixels and how often the layer is laid over: far colours first, near ones on top.
_FILL_LAYERS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))


def binary_mask(image: Image.Image, *, round_values: bool = True) -> Image.Image:
    """A mask from any picture: its transparency where it has some, else its brightness; mode L.

    Args:
        image: what the user drew or sent.
        round_values: make transparency black or white; brightness is never rounded.
    """
    if image.mode != "RGBA" or image.getextrema()[-1] == (255, 255):
        return image.convert("L")
    alpha = image.getchannel("A")
    return alpha.point([0] * 129 + [255] * 127) if round_values else alpha


def blur_mask(mask: Image.Image, blur_x: int, blur_y: int) -> Image.Image:
    """Soften a mask of mode L, each axis by its own sigma in pixels; 0 leaves the axis sharp."""
    pixels = np.asarray(mask)
    for sigma, axis in ((blur_x, 1), (blur_y, 0)):
        if sigma > 0:
            pixels = gaussian_blur_axis(pixels, sigma, 2 * int(2.5 * sigma + 0.5) + 1, axis)
    return Image.fromarray(pixels)


def crop_region(mask: Image.Image, padding: int) -> Box | None:
    """The smallest box with all that is not black, enlarged by ``padding``; None for a black mask."""
    box = mask.getbbox()
    if box is None:
        return None
    x1, y1, x2, y2 = box
    width, height = mask.size
    return max(x1 - padding, 0), max(y1 - padding, 0), min(x2 + padding, width), min(y2 + padding, height)


def expand_crop_region(region: Box, width: int, height: int, image_size: tuple[int, int]) -> Box:
    """Give a region the proportions of ``width`` x ``height`` as far as the picture reaches."""
    x1, y1, x2, y2 = region
    wanted = width / height
    if (x2 - x1) / (y2 - y1) > wanted:
        y1, y2 = _grow(y1, y2, (x2 - x1) / wanted, image_size[1])
    else:
        x1, x2 = _grow(x1, x2, (y2 - y1) * wanted, image_size[0])
    return x1, y1, x2, y2


def _grow(start: int, end: int, wanted: float, limit: int) -> tuple[int, int]:
    missing = int(wanted - (end - start))
    start -= missing // 2
    end += missing - missing // 2
    if end >= limit:
        start, end = start - (end - limit), limit
    if start < 0:
        start, end = 0, end - start
    return start, min(end, limit)


def fill_masked(image: Image.Image, mask: Image.Image) -> Image.Image:
    """Cover the masked part with the colours around it, blurred more the farther they are; mode RGB."""
    canvas = Image.new("RGBA", image.size)
    kept = _without(image, mask)
    for radius, repeats in _FILL_LAYERS:
        layer = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(repeats):
            canvas.alpha_composite(layer)
    return canvas.convert("RGB")


def overlay_image(image: Image.Image, mask: Image.Image) -> Image.Image:
    """What is laid over the result: the picture, transparent where it was repainted; mode RGBA."""
    return _without(image, mask).convert("RGBA")


def whole_picture_overlay_mask(mask: Image.Image) -> Image.Image:
    """The mask for :func:`overlay_image` when the whole picture is repainted: twice as bright."""
    return Image.fromarray(np.clip(np.asarray(mask).astype(np.float32) * 2, 0, 255).astype(np.uint8))


def apply_overlay(image: Image.Image, overlay: Image.Image, paste_to: Box | None) -> Image.Image:
    """Lay the kept part of the original over a result; mode RGB.

    Args:
        image: the result.
        overlay: of :func:`overlay_image`, as large as the original.
        paste_to: ``(x, y, width, height)`` of the part that was worked on; None is the whole picture.
    """
    if paste_to is not None:
        image = uncrop(image, overlay.size, paste_to)
    result = image.convert("RGBA")
    result.alpha_composite(overlay)
    return result.convert("RGB")


def uncrop(image: Image.Image, size: tuple[int, int], paste_to: Box) -> Image.Image:
    """A part back at its place in a transparent picture of the original's size; mode RGBA.

    Args:
        image: the part, at whatever size it was worked on.
        size: of the original in pixels.
        paste_to: ``(x, y, width, height)``.
    """
    x, y, width, height = paste_to
    canvas = Image.new("RGBA", size)
    canvas.paste(resize_image(ResizeMode.CROP, image, width, height), (x, y))
    return canvas


def mask_composite(image: Image.Image, mask: Image.Image) -> Image.Image:
    """Only what was repainted, transparent elsewhere; mode RGBA."""
    fitted = resize_image(ResizeMode.FILL, mask, image.width, image.height).convert("L")
    repainted = image.convert("RGBA").convert("RGBa")
    return Image.composite(repainted, Image.new("RGBa", image.size), fitted).convert("RGBA")


def latent_mask(
    mask: Image.Image, width: int, height: int, *, round_values: bool = True
) -> NDArray[np.float32]:
    """The mask in latent cells.

    Args:
        mask: mode L or RGB, in pixels.
        width: in cells.
        height: in cells.
        round_values: 0 or 1 only, halves to even.

    Returns:
        (height, width), 0..1, 1 is repainted.
    """
    small = np.asarray(mask.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
    cells = small[:, :, 0].astype(np.float32) / np.float32(255)
    return np.around(cells) if round_values else cells


def _without(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with its masked part erased, premultiplied alpha."""
    kept = Image.new("RGBa", image.size)
    kept.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask.convert("L")))
    return kept
