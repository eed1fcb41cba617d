"""Bringing a picture to a size: stretched, cropped, or with its borders continued.

A picture of one column can ask for an intermediate result of any size; beyond ``MAX_INTERMEDIATE`` pixels
a way is taken that looks the same and needs no more memory than the result.
"""

from collections.abc import Callable
from enum import IntEnum

from PIL import Image

from modules.imaging.upscale import Upscaler, upscale

__all__ = ["MAX_INTERMEDIATE", "ResizeMode", "flatten", "resize_image"]


class ResizeMode(IntEnum):
    """What happens when the proportions differ; the values are A1111's."""

    JUST_RESIZE = 0
    CROP = 1
    FILL = 2
    LATENT = 3

    @property
    def label(self) -> str:
        """A1111's name on the page."""
        return _LABELS[self]


_LABELS = {
    ResizeMode.JUST_RESIZE: "Just resize",
    ResizeMode.CROP: "Crop and resize",
    ResizeMode.FILL: "Resize and fill",
    ResizeMode.LATENT: "Just resize (latent upscale)",
}

MAX_INTERMEDIATE = 8192 * 8192  # pixels on the way to a result; ordinary pictures stay far below
MAX_SOURCE_SIDE = 65_536  # pixels; Pillow needs 48 bytes of weights for each

Resize = Callable[[Image.Image, int, int], Image.Image]


def flatten(image: Image.Image, background: str) -> Image.Image:
    """A picture without transparency, its background showing through; mode RGB."""
    if image.mode == "RGBA":
        ground = Image.new("RGBA", image.size, background)
        ground.paste(image, mask=image)
        image = ground
    return image.convert("RGB")


def resize_image(
    mode: int, image: Image.Image, width: int, height: int, *, upscaler: Upscaler | None = None
) -> Image.Image:
    """Bring a picture to ``width`` x ``height`` pixels.

    Args:
        mode: a :class:`ResizeMode`; LATENT does as JUST_RESIZE, its work is done on latents.
        image: any mode; CROP and FILL give RGB, JUST_RESIZE keeps the mode.
        width: in pixels.
        height: in pixels.
        upscaler: for pictures that get larger; None is Lanczos. Masks (mode L) are never upscaled by it.
    """
    if max(image.size) > MAX_SOURCE_SIDE:
        image = image.reduce((-(-image.width // MAX_SOURCE_SIDE), -(-image.height // MAX_SOURCE_SIDE)))

    def resize(source: Image.Image, to_width: int, to_height: int) -> Image.Image:
        return _resize(source, to_width, to_height, upscaler)

    if mode == ResizeMode.CROP:
        return _crop(image, width, height, resize)
    if mode == ResizeMode.FILL:
        return _fill(image, width, height, resize)
    return resize(image, width, height)


def _resize(image: Image.Image, width: int, height: int, upscaler: Upscaler | None) -> Image.Image:
    scale = max(width / image.width, height / image.height)
    upscaled = image.width * scale * image.height * scale
    if upscaler is not None and image.mode != "L" and scale > 1 and upscaled <= MAX_INTERMEDIATE:
        image = upscale(image, scale, upscaler)
    return _lanczos(image, width, height)


def _lanczos(image: Image.Image, width: int, height: int) -> Image.Image:
    if width * image.height > MAX_INTERMEDIATE:  # Pillow goes through this size: rows first, then columns
        image = image.resize((image.width, height), Image.Resampling.LANCZOS)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _crop(image: Image.Image, width: int, height: int, resize: Resize) -> Image.Image:
    wider = width / height > image.width / image.height
    inner_width = width if wider else image.width * height // image.height
    inner_height = image.height * width // image.width if wider else height
    if inner_width * inner_height > MAX_INTERMEDIATE:
        box = _centred(image, width / inner_width, height / inner_height)
        return image.resize((width, height), Image.Resampling.LANCZOS, box=box).convert("RGB")
    resized = resize(image, inner_width, inner_height)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(resized, (width // 2 - inner_width // 2, height // 2 - inner_height // 2))
    return canvas


def _centred(image: Image.Image, across: float, down: float) -> tuple[float, float, float, float]:
    """Left, upper, right and lower edge of the middle of a picture, by its share of both sides (0 to 1)."""
    left, top = image.width * (1 - across) / 2, image.height * (1 - down) / 2
    return left, top, image.width - left, image.height - top


def _fill(image: Image.Image, width: int, height: int, resize: Resize) -> Image.Image:
    ratio, source = width / height, image.width / image.height
    inner_width = width if ratio < source else image.width * height // image.height
    inner_height = image.height * width // image.width if ratio < source else height
    resized = resize(image, max(1, inner_width), max(1, inner_height))
    left, top = width // 2 - inner_width // 2, height // 2 - inner_height // 2
    canvas = Image.new("RGB", (width, height))
    canvas.paste(resized, (left, top))
    if ratio < source and top > 0:
        _stretch(canvas, resized, (0, 0, width, 0), (width, top), (0, 0))
        edge = resized.height
        _stretch(canvas, resized, (0, edge, width, edge), (width, top), (0, top + inner_height))
    elif ratio > source and left > 0:
        _stretch(canvas, resized, (0, 0, 0, height), (left, height), (0, 0))
        edge = resized.width
        _stretch(canvas, resized, (edge, 0, edge, height), (left, height), (left + inner_width, 0))
    return canvas


def _stretch(
    canvas: Image.Image,
    source: Image.Image,
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    place: tuple[int, int],
) -> None:
    """Continue a border: a strip of no width of the source, stretched by Pillow's default (bicubic)."""
    canvas.paste(source.resize(size, box=box), place)
