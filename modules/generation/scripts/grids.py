"""The grid of a job's pictures as the settings want it, for scripts that add none of their own."""

from collections.abc import Sequence

from PIL import Image

from modules.domain.request import GenerationRequest
from modules.generation.scripts.script import RenderedPicture, Sheet
from modules.imaging.grid import grid_rows, image_grid
from modules.settings.options import Settings

__all__ = ["batch_sheet", "usual_grid"]


def usual_grid(
    request: GenerationRequest, pictures: Sequence[RenderedPicture], settings: Settings
) -> tuple[Sheet, ...]:
    """The grid of an ordinary job; nothing where an ordinary job makes none."""
    wanted = request.save_images and (settings.return_grid or settings.grid_save)
    if not wanted or not pictures or (len(pictures) < 2 and settings.grid_only_if_multiple):
        return ()
    image = _in_rows([picture.image() for picture in pictures], request, settings)
    first = pictures[0]
    shown = settings.return_grid
    return (Sheet(image, first.infotext, first.seed, first.prompt, is_grid=True, shown=shown),)


def batch_sheet(images: Sequence[Image.Image], request: GenerationRequest, settings: Settings) -> Image.Image:
    """Several pictures as one: their grid, or the first alone where the settings want no grids."""
    single = len(images) == 1 or not settings.return_grid
    return images[0] if single else _in_rows(images, request, settings)


def _in_rows(images: Sequence[Image.Image], request: GenerationRequest, settings: Settings) -> Image.Image:
    rows = grid_rows(
        len(images),
        setting=settings.n_rows,
        batch_size=request.batch_size,
        prevent_empty_spots=settings.grid_prevent_empty_spots,
    )
    return image_grid(images, rows, background=settings.grid_background_color)
