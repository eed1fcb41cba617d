"""Several pictures side by side in one."""

import math
from collections.abc import Sequence

from PIL import Image

__all__ = ["grid_rows", "image_grid"]


def grid_rows(
    count: int, *, setting: int = -1, batch_size: int = 1, prevent_empty_spots: bool = False
) -> int:
    """Number of rows for ``count`` pictures.

    Args:
        count: pictures, at least 1.
        setting: the option ``n_rows``: a number, 0 for the batch size, -1 to choose.
        batch_size: of the job.
        prevent_empty_spots: choose a number that divides ``count``.
    """
    if setting > 0:
        rows = setting
    elif setting == 0:
        rows = batch_size
    elif prevent_empty_spots:
        rows = math.isqrt(count)
        while count % rows != 0:
            rows -= 1
    else:
        rows = round(math.sqrt(count))  # halves to even: six pictures make two rows
    return max(1, min(rows, count))


def image_grid(images: Sequence[Image.Image], rows: int, *, background: str = "#ffffff") -> Image.Image:
    """Pictures in rows, each centred in a cell as large as the largest; mode RGB.

    Args:
        images: at least one, row by row.
        rows: as of :func:`grid_rows`.
        background: colour of what no picture covers.
    """
    columns = math.ceil(len(images) / rows)
    width, height = max(image.width for image in images), max(image.height for image in images)
    grid = Image.new("RGB", (columns * width, rows * height), background)
    for index, image in enumerate(images):
        left, top = index % columns * width, index // columns * height
        grid.paste(image, (left + (width - image.width) // 2, top + (height - image.height) // 2))
    return grid
