"""Pictures that were painted on: the painting laid over its picture, and what of it was painted."""

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from modules.imaging.resize import flatten

__all__ = ["inpaint_sketch", "lay_over", "painted_mask"]


def lay_over(picture: Image.Image, paint: Image.Image, place: tuple[int, int]) -> Image.Image:
    """A picture with paint on it.

    Args:
        picture: any mode.
        paint: mode RGBA, transparent where nothing was painted.
        place: left and top edge of ``paint`` on the picture, in pixels.

    Returns:
        Mode RGB, transparent parts of the picture on white.
    """
    canvas = flatten(picture, "#ffffff").convert("RGBA")
    canvas.alpha_composite(paint, place)
    return canvas.convert("RGB")


def painted_mask(original: Image.Image, painted: Image.Image) -> Image.Image:
    """White where any channel of two RGB pictures of one size differs; mode L."""
    differs = np.any(np.asarray(original) != np.asarray(painted), axis=-1)
    return Image.fromarray(differs.astype(np.uint8) * np.uint8(255))


def inpaint_sketch(
    original: Image.Image, painted: Image.Image, *, transparency: float = 0.0, blur: float = 4.0
) -> tuple[Image.Image, Image.Image]:
    """Start picture and mask of A1111's "Inpaint sketch".

    Args:
        original: mode RGB.
        painted: the original with paint on it, mode RGB, same size.
        transparency: 0..100 percent; darkens the mask, so that more of the original stays.
        blur: radius in pixels by which paint and mask fade into each other.

    Returns:
        The picture with its paint softened (mode RGB), and the mask (mode L), which is not softened yet:
        the mask blur of the job does that.
    """
    mask = painted_mask(original, painted)
    mask = ImageEnhance.Brightness(mask).enhance(1 - transparency / 100)
    soft = ImageFilter.GaussianBlur(blur)
    return Image.composite(painted.filter(soft), original, mask.filter(soft)), mask
