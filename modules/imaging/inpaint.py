"""Before and after inpainting: what the networks get to see, and how their work is put back.

The order of the steps is A1111's, because each rounds to 8 bits.
"""

from dataclasses import dataclass

from PIL import Image, ImageOps

from modules.imaging.masks import (
    Box,
    binary_mask,
    blur_mask,
    crop_region,
    expand_crop_region,
    fill_masked,
    overlay_image,
    whole_picture_overlay_mask,
)
from modules.imaging.resize import ResizeMode, flatten, resize_image
from modules.imaging.upscale import Upscaler

__all__ = ["PreparedImage", "PreparedMask", "prepare_image", "prepare_mask"]

ORIGINAL = 1  # "Masked content: original": the pixels stay


@dataclass(frozen=True)
class PreparedMask:
    """A mask ready for use.

    Attributes:
        mask: at the size that is worked on; mode L or RGB.
        overlay_mask: decides what of the original is laid over the result.
        region: part of the original that is worked on; None is the whole picture.
    """

    mask: Image.Image
    overlay_mask: Image.Image
    region: Box | None = None

    @property
    def paste_to(self) -> Box | None:
        """``(x, y, width, height)`` of the part within the original."""
        if self.region is None:
            return None
        x1, y1, x2, y2 = self.region
        return x1, y1, x2 - x1, y2 - y1


@dataclass(frozen=True)
class PreparedImage:
    """A picture ready to be encoded.

    Attributes:
        image: mode RGB, at the size that is worked on (with ResizeMode.LATENT at its own).
        overlay: to lay over the result, None without a mask; mode RGBA.
        whole: what the overlay was cut from, None without a mask; mode RGB.
    """

    image: Image.Image
    overlay: Image.Image | None = None
    whole: Image.Image | None = None


def prepare_mask(
    mask: Image.Image,
    width: int,
    height: int,
    *,
    resize_mode: int = ResizeMode.JUST_RESIZE,
    invert: bool = False,
    blur_x: int = 4,
    blur_y: int = 4,
    round_values: bool = True,
    only_masked: bool = False,
    padding: int = 0,
) -> PreparedMask | None:
    """Make a mask ready: binary, inverted, blurred, cropped to the part that is worked on, resized.

    Args:
        mask: what the user drew or sent, at the size of the original picture.
        width: that is worked at, in pixels.
        height: that is worked at, in pixels.
        resize_mode: of the whole picture.
        invert: repaint what is black instead.
        blur_x: sigma in pixels.
        blur_y: sigma in pixels.
        round_values: whether transparency becomes black or white.
        only_masked: work on the region around the mask instead of the whole picture.
        padding: pixels around the mask that the region includes.

    Returns:
        None when ``only_masked`` finds nothing to repaint.
    """
    drawn = binary_mask(mask, round_values=round_values)
    if invert:
        drawn = ImageOps.invert(drawn)
    drawn = blur_mask(drawn, blur_x, blur_y)
    if not only_masked:
        fitted = resize_image(resize_mode, drawn, width, height)
        return PreparedMask(fitted, whole_picture_overlay_mask(fitted))
    region = crop_region(drawn, padding)
    if region is None:
        return None
    region = expand_crop_region(region, width, height, drawn.size)
    return PreparedMask(resize_image(ResizeMode.FILL, drawn.crop(region), width, height), drawn, region)


def prepare_image(
    image: Image.Image,
    width: int,
    height: int,
    *,
    mask: PreparedMask | None = None,
    latent_mask: Image.Image | None = None,
    resize_mode: int = ResizeMode.JUST_RESIZE,
    masked_content: int = ORIGINAL,
    background: str = "#ffffff",
    upscaler: Upscaler | None = None,
) -> PreparedImage:
    """Make a start picture ready: flat, resized, cropped, its masked part filled.

    Args:
        image: the original.
        width: that is worked at, in pixels.
        height: that is worked at, in pixels.
        mask: of :func:`prepare_mask`.
        latent_mask: a mask of its own for what is filled; None is the prepared one.
        resize_mode: a :class:`~modules.imaging.resize.ResizeMode`.
        masked_content: 1 leaves the pixels; 0, 2 and 3 fill them from their surroundings.
        background: colour behind transparent parts.
        upscaler: for pictures that get larger; None is Lanczos.
    """
    region = None if mask is None else mask.region
    image = flatten(image, background)
    if region is None and resize_mode != ResizeMode.LATENT:
        image = resize_image(resize_mode, image, width, height, upscaler=upscaler)
    if mask is None:
        return PreparedImage(image)
    overlay_mask = mask.overlay_mask
    if overlay_mask.size != image.size:
        overlay_mask = resize_image(resize_mode, overlay_mask, image.width, image.height)
    whole, overlay = image, overlay_image(image, overlay_mask)
    if region is not None:
        image = resize_image(ResizeMode.FILL, image.crop(region), width, height, upscaler=upscaler)
    if masked_content != ORIGINAL:
        filling = mask.mask if latent_mask is None else latent_mask
        if filling.size != image.size:
            filling = resize_image(resize_mode, filling, image.width, image.height)
        image = fill_masked(image, filling)
    return PreparedImage(image, overlay, whole)
