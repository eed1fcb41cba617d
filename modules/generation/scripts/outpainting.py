"""Outpainting mk2: grow the picture side by side, each time starting from noise that resembles it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from modules.domain.request import GenerationRequest
from modules.domain.script import Arguments
from modules.domain.script_declarations import OUTPAINTING_MK2
from modules.generation.scripts.grids import batch_sheet
from modules.generation.scripts.script import (
    Render,
    RenderedPicture,
    RenderItem,
    Script,
    ScriptCoroutine,
    ScriptResult,
    ScriptRoom,
    Sheet,
)
from modules.generation.scripts.start import grow, start_picture
from modules.imaging.matched_noise import matched_noise

__all__ = ["SCRIPT"]

Side = Literal["left", "right", "up", "down"]

_GRID = 64  # pixels; the canvas that noise is made on has sides of such multiples
_CELL = 8  # pixels of a latent cell


@dataclass(frozen=True)
class _Window:
    """The part of a canvas that is worked on: its left upper corner and its size."""

    left: int
    up: int
    width: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.left, self.up, self.left + self.width, self.up + self.height


@dataclass(frozen=True)
class _Expansion:
    """Growing by ``pixels`` on one side; blurs are zero along axes on which nothing grows."""

    side: Side
    pixels: int
    blur_x: int
    blur_y: int

    @property
    def across(self) -> bool:
        return self.side in ("left", "right")

    def size(self, old: tuple[int, int]) -> tuple[int, int]:
        """Size after growing."""
        return (old[0] + self.pixels, old[1]) if self.across else (old[0], old[1] + self.pixels)

    def kept(self, mask: tuple[int, int], new: tuple[int, int], inset: int) -> tuple[int, int, int, int]:
        """Corners of the part of a mask that stays, ``inset`` blurs smaller on the growing side."""
        x, y = self.pixels + self.blur_x * inset, self.pixels + self.blur_y * inset
        return (
            x if self.side == "left" else 0,
            y if self.side == "up" else 0,
            mask[0] - x if self.side == "right" else new[0],
            mask[1] - y if self.side == "down" else new[1],
        )

    def window(self, canvas: tuple[int, int], new: tuple[int, int], limit: tuple[int, int]) -> _Window:
        """What is worked on: at the growing side, as large as the request allows."""
        width = min(limit[0], new[0]) // _CELL * _CELL if self.across else canvas[0]
        height = canvas[1] if self.across else min(limit[1], new[1]) // _CELL * _CELL
        left = 0 if self.side == "left" else canvas[0] - width
        up = 0 if self.side == "up" else canvas[1] - height
        return _Window(left, up, width, height)


def _run(request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> ScriptCoroutine:
    original = room.load(start_picture(request).images[0]).convert("RGB")
    growth = grow(original.size, arguments.whole("pixels"), arguments.names("direction"))
    blur = arguments.whole("mask_blur")
    blurs = blur if growth.left or growth.right else 0, blur if growth.up or growth.down else 0
    sides: tuple[tuple[Side, int], ...] = (
        ("left", growth.left),
        ("right", growth.right),
        ("up", growth.up),
        ("down", growth.down),
    )
    expansions = [_Expansion(side, pixels, *blurs) for side, pixels in sides if pixels > 0]
    done: list[Image.Image] = []
    first: RenderedPicture | None = None
    expected = request.n_iter * request.batch_size * len(expansions)
    for run in range(request.n_iter):
        seeded = request.model_copy(update={"seed": request.seed + run * request.batch_size, "n_iter": 1})
        images = [original] * request.batch_size
        for expansion in expansions:
            expected -= request.batch_size
            canvases = [_canvas(image, expansion, arguments) for image in images]
            item, window = _item(seeded, images[0].size, canvases, expansion, room)
            answer = yield Render((item,), later=expected)
            pictures = answer.all()
            if len(pictures) < len(images):
                return _result(request, done, first, room)
            first = first or pictures[0]
            for canvas, picture in zip(canvases, pictures, strict=True):
                canvas.paste(picture.image(), (window.left, window.up))
            size = expansion.size(images[0].size)
            images = [canvas.crop((0, 0, *size)) for canvas in canvases]
        done += images
    return _result(request, done, first, room)


def _canvas(image: Image.Image, expansion: _Expansion, arguments: Arguments) -> Image.Image:
    """The picture with room on one side, filled with noise that resembles it."""
    canvas, mask = _mask(image.size, expansion)
    at = (
        expansion.pixels if expansion.side == "left" else 0,
        expansion.pixels if expansion.side == "up" else 0,
    )
    canvas.paste(image, at)
    noised = matched_noise(
        np.asarray(canvas) / 255.0,
        np.asarray(mask) / 255.0,
        falloff=arguments.number("noise_q"),
        colour=arguments.number("color_variation"),
    )
    return Image.fromarray((noised * 255).astype(np.uint8))


def _mask(size: tuple[int, int], expansion: _Expansion) -> tuple[Image.Image, Image.Image]:
    """An empty canvas, and its mask: white where something new is wanted; mode RGB."""
    new = expansion.size(size)
    canvas = (-(-new[0] // _GRID) * _GRID, -(-new[1] // _GRID) * _GRID)
    mask = Image.new("RGB", canvas, "white")
    _blacken(mask, expansion.kept(canvas, new, 1))
    return Image.new("RGB", canvas), mask


def _item(
    request: GenerationRequest,
    size: tuple[int, int],
    canvases: list[Image.Image],
    expansion: _Expansion,
    room: ScriptRoom,
) -> tuple[RenderItem, _Window]:
    """The request that paints the new side, and where its pictures belong."""
    start, new = start_picture(request), expansion.size(size)
    window = expansion.window(canvases[0].size, new, (request.width, request.height))
    box = window.box
    mask = _mask(size, expansion)[1].crop(box)
    latent_mask = Image.new("RGB", mask.size, "white")
    _blacken(latent_mask, expansion.kept(mask.size, new, 2))
    source = start.model_copy(
        update={
            "images": tuple(room.store(canvas.crop(box)) for canvas in canvases),
            "mask": room.store(mask),
            "latent_mask": room.store(latent_mask),
            "mask_blur_x": 4 * expansion.blur_x,
            "mask_blur_y": 4 * expansion.blur_y,
            "inpaint_full_res": False,
            "inpainting_fill": 1,
        }
    )
    changes = {"width": window.width, "height": window.height, "image_to_image": source}
    return RenderItem(request.model_copy(update=changes), keep=False), window


def _blacken(mask: Image.Image, corners: tuple[int, int, int, int]) -> None:
    if corners[0] <= corners[2] and corners[1] <= corners[3]:
        ImageDraw.Draw(mask).rectangle(corners, fill="black")


def _result(
    request: GenerationRequest, images: list[Image.Image], first: RenderedPicture | None, room: ScriptRoom
) -> ScriptResult:
    if first is None or not images:
        return ScriptResult()
    settings, label = room.settings, first.infotext
    sheets = [Sheet(image, label, request.seed, request.prompt) for image in images]
    if (settings.return_grid or settings.grid_save) and not (
        len(images) < 2 and settings.grid_only_if_multiple
    ):
        grid = batch_sheet(images, request, settings)
        sheets.append(
            Sheet(grid, label, request.seed, request.prompt, is_grid=True, shown=settings.return_grid)
        )
    return ScriptResult(tuple(sheets))


SCRIPT = Script(OUTPAINTING_MK2, _run)
