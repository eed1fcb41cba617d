"""SD upscale: enlarge the picture, draw it anew in overlapping tiles, put these together."""

from PIL import Image
from pydantic import JsonValue

from modules.domain.request import GenerationRequest, ImageToImage
from modules.domain.script import Arguments
from modules.domain.script_declarations import SD_UPSCALE
from modules.exceptions import RequestError
from modules.generation.scripts.script import (
    Render,
    RenderItem,
    Script,
    ScriptCoroutine,
    ScriptResult,
    ScriptRoom,
    Sheet,
)
from modules.generation.scripts.start import start_picture
from modules.imaging.resize import flatten
from modules.imaging.tiles import TileGrid, combine_tiles, split_tiles
from modules.imaging.upscale import upscale

__all__ = ["SCRIPT"]


def _run(request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> ScriptCoroutine:
    start, overlap = start_picture(request), arguments.whole("overlap")
    if overlap >= min(request.width, request.height):
        raise RequestError(
            "script_args",
            f"SD upscale: a tile overlap of {overlap} needs tiles larger than that; raise Width and Height.",
        )
    name = tuple(room.upscalers)[arguments.whole("upscaler_index")]
    picture = flatten(room.load(start.images[0]), room.settings.img2img_background_color)
    if name != "None":
        picture = upscale(picture, arguments.number("scale_factor"), room.upscalers[name])
    grid = split_tiles(picture, request.width, request.height, overlap)
    parameters: dict[str, JsonValue] = {"SD upscale overlap": overlap, "SD upscale upscaler": name}
    tiles = tuple(room.store(tile.image) for tile in grid.tiles)
    sheets: list[Sheet] = []
    for run in range(request.n_iter):
        items = _items(request, start, tiles, request.seed + run)
        answer = yield Render(
            tuple(RenderItem(item, parameters, keep=False) for item in items),
            later=len(tiles) * (request.n_iter - run - 1),
        )
        pictures = answer.all()
        if not pictures:
            break
        images = [picture.image() for picture in pictures]
        first = sheets[0].infotext if sheets else pictures[0].infotext
        sheets.append(Sheet(combine_tiles(_filled(grid, images)), first, request.seed + run, request.prompt))
        if answer.interrupted:
            break
    return ScriptResult(tuple(sheets))


def _items(
    request: GenerationRequest, start: ImageToImage, tiles: tuple[str, ...], seed: int
) -> list[GenerationRequest]:
    """Requests of ``batch_size`` tiles each; the seed grows by one from request to request."""
    size = request.batch_size
    batches = [tiles[begin : begin + size] for begin in range(0, len(tiles), size)]
    return [
        request.model_copy(
            update={
                "seed": seed + number,
                "batch_size": len(batch),
                "n_iter": 1,
                "image_to_image": start.model_copy(update={"images": batch}),
            }
        )
        for number, batch in enumerate(batches)
    ]


def _filled(grid: TileGrid, images: list[Image.Image]) -> TileGrid:
    """The grid with the new tiles; those that an interrupted job lacks stay as they were."""
    kept = [tile.image for tile in grid.tiles[len(images) :]]
    return grid.with_images([*images, *kept])


SCRIPT = Script(SD_UPSCALE, _run)
