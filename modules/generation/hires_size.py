"""Target size of the hires pass; A1111's arithmetic."""

import math
from dataclasses import dataclass

from modules.domain.request import MAX_SIDE, Hires
from modules.exceptions import RequestError

__all__ = ["LATENT_UPSCALERS", "HiresSize", "hires_size", "old_first_size"]

LATENT_UPSCALERS: dict[str, tuple[str, bool]] = {  # name -> torch's interpolation mode, antialias
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}


@dataclass(frozen=True)
class HiresSize:
    """Pixels to upscale to, and how many latent cells to cut off in all so that the target remains."""

    upscale_width: int
    upscale_height: int
    crop_x: int = 0
    crop_y: int = 0

    @property
    def width(self) -> int:
        """Pixels of the second pass."""
        return self.upscale_width - self.crop_x * 8

    @property
    def height(self) -> int:
        """Pixels of the second pass."""
        return self.upscale_height - self.crop_y * 8


def old_first_size(width: int, height: int) -> tuple[int, int]:
    """First pass of old versions for a target: its shape, about 512 x 512 pixels, multiples of 64."""
    scale = math.sqrt(512 * 512 / (width * height))
    return math.ceil(scale * width / 64) * 64, math.ceil(scale * height / 64) * 64


def hires_size(width: int, height: int, hires: Hires) -> HiresSize:
    """Size by factor, by one side (the other follows), or by both (cover, then crop).

    Raises:
        RequestError: a side has less than 8 or more than ``MAX_SIDE`` pixels, or what is cropped has more
            than ``MAX_SIDE`` squared.
    """
    size = _size(width, height, hires)
    smallest, largest = min(size.width, size.height), max(size.width, size.height)
    if smallest < 8 or largest > MAX_SIDE or size.upscale_width * size.upscale_height > MAX_SIDE**2:
        raise RequestError(
            "hires.resize_x" if hires.resize_x else "hires.resize_y" if hires.resize_y else "hires.scale",
            f"the second pass would bring {width}x{height} pixels to {size.upscale_width}x"
            f"{size.upscale_height}; a side has 8 to {MAX_SIDE}",
        )
    return size


def _size(width: int, height: int, hires: Hires) -> HiresSize:
    if hires.resize_x == 0 and hires.resize_y == 0:
        return HiresSize(int(width * hires.scale), int(height * hires.scale))
    if hires.resize_y == 0:
        return HiresSize(hires.resize_x, hires.resize_x * height // width)
    if hires.resize_x == 0:
        return HiresSize(hires.resize_y * width // height, hires.resize_y)
    if width / height < hires.resize_x / hires.resize_y:
        up_width, up_height = hires.resize_x, hires.resize_x * height // width
    else:
        up_width, up_height = hires.resize_y * width // height, hires.resize_y
    return HiresSize(up_width, up_height, (up_width - hires.resize_x) // 8, (up_height - hires.resize_y) // 8)
