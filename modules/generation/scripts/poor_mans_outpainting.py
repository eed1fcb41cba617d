"""Poor man's outpainting: grow the picture, inpaint the new borders tile by tile."""

from PIL import Image, ImageDraw

from modules.domain.request import GenerationRequest
from modules.domain.script import Arguments
from modules.domain.script_declarations import POOR_MANS_OUTPAINTING
from modules.generation.scripts.script import (
    Render,
    RenderItem,
    Script,
    ScriptCoroutine,
    ScriptResult,
    ScriptRoom,
    Sheet,
)
from modules.generation.scripts.start import Growth, grow, start_picture
from modules.imaging.tiles import Tile, combine_tiles, split_tiles

__all__ = ["SCRIPT"]


def _run(request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> ScriptCoroutine:
    start, blur = start_picture(request), arguments.whole("mask_blur")
    original = room.load(start.images[0]).convert("RGB")
    growth = grow(original.size, arguments.whole("pixels"), arguments.names("direction"))
    canvas = Image.new("RGB", (growth.width, growth.height))
    canvas.paste(original, (growth.left, growth.up))
    size = (request.width, request.height)
    # A1111 divides by zero when the tiles are no larger than their overlap; half a tile always works
    overlap = arguments.whole("pixels")
    overlap = overlap if overlap < min(size) else min(size) // 2
    grids = [
        split_tiles(image, *size, overlap)
        for image in (canvas, _mask(growth, 2 * blur), _mask(growth, blur // 2))
    ]
    places = [place for place, tile in enumerate(grids[0].tiles) if not _is_kept(tile, size, growth)]
    work = [tuple(grid.tiles[place].image for grid in grids) for place in places]
    items = tuple(
        RenderItem(
            request.model_copy(
                update={
                    "seed": request.seed + number,
                    "batch_size": 1,
                    "n_iter": 1,
                    "image_to_image": start.model_copy(
                        update={
                            "images": (room.store(part),),
                            "mask": room.store(mask),
                            "latent_mask": room.store(latent_mask),
                            "mask_blur_x": 2 * blur,
                            "mask_blur_y": 2 * blur,
                            "inpainting_fill": arguments.whole("inpainting_fill"),
                            "inpaint_full_res": False,
                        }
                    ),
                }
            ),
            keep=False,
        )
        for number, (part, mask, latent_mask) in enumerate(work)
    )
    answer = yield Render(items)
    pictures = answer.all()
    if not pictures:
        return ScriptResult()
    images = [tile.image for tile in grids[0].tiles]
    for place, picture in zip(places, pictures, strict=False):
        images[place] = picture.image()
    result = combine_tiles(grids[0].with_images(images))
    return ScriptResult((Sheet(result, pictures[0].infotext, request.seed, request.prompt),))


def _mask(growth: Growth, inset: int) -> Image.Image:
    """White where something new is wanted; the old picture is black, ``inset`` pixels smaller there."""
    mask = Image.new("L", (growth.width, growth.height), "white")
    corners = (
        growth.left + (inset if growth.left else 0),
        growth.up + (inset if growth.up else 0),
        growth.width - growth.right - (inset if growth.right else 0),
        growth.height - growth.down - (inset if growth.down else 0),
    )
    if corners[0] <= corners[2] and corners[1] <= corners[3]:
        ImageDraw.Draw(mask).rectangle(corners, fill="black")
    return mask


def _is_kept(tile: Tile, size: tuple[int, int], growth: Growth) -> bool:
    """Whether a tile lies within the old picture."""
    across = growth.left <= tile.x and tile.x + size[0] <= growth.width - growth.right
    return across and growth.up <= tile.y and tile.y + size[1] <= growth.height - growth.down


SCRIPT = Script(POOR_MANS_OUTPAINTING, _run)
