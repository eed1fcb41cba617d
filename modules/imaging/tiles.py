"""Cutting a picture into overlapping tiles and putting processed tiles together again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

__all__ = ["Tile", "TileGrid", "combine_tiles", "split_tiles"]


@dataclass(frozen=True)
class Tile:
    """One piece; ``x`` and ``y`` are its place in pixels."""

    x: int
    y: int
    image: Image.Image


@dataclass(frozen=True)
class TileGrid:
    """Rows of tiles that cover a picture.

    Attributes:
        rows: tiles from top to bottom, left to right.
        tile_width, tile_height: of every tile in pixels.
        width, height: of the whole picture in pixels.
        overlap: pixels that neighbours share at least.
    """

    rows: tuple[tuple[Tile, ...], ...]
    tile_width: int
    tile_height: int
    width: int
    height: int
    overlap: int

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """All tiles, row by row."""
        return tuple(tile for row in self.rows for tile in row)

    def with_images(self, images: Sequence[Image.Image]) -> "TileGrid":
        """The same grid with other pictures, given row by row."""
        replaced = iter(images)
        rows = tuple(tuple(Tile(tile.x, tile.y, next(replaced)) for tile in row) for row in self.rows)
        return TileGrid(rows, self.tile_width, self.tile_height, self.width, self.height, self.overlap)

    def enlarged(self, images: Sequence[Image.Image], factor: int) -> "TileGrid":
        """The grid of tiles that were each enlarged by ``factor``, given row by row."""
        replaced = iter(images)
        rows = tuple(
            tuple(Tile(tile.x * factor, tile.y * factor, next(replaced)) for tile in row) for row in self.rows
        )
        sizes = (self.tile_width, self.tile_height, self.width, self.height, self.overlap)
        return TileGrid(rows, *(size * factor for size in sizes))


def split_tiles(image: Image.Image, tile_width: int, tile_height: int, overlap: int) -> TileGrid:
    """Cut a picture into tiles of one size that overlap by at least ``overlap`` pixels."""
    width, height = image.size
    columns = _starts(width, tile_width, overlap)
    rows = tuple(
        tuple(Tile(x, y, image.crop((x, y, x + tile_width, y + tile_height))) for x in columns)
        for y in _starts(height, tile_height, overlap)
    )
    return TileGrid(rows, tile_width, tile_height, width, height, overlap)


def combine_tiles(grid: TileGrid) -> Image.Image:
    """Put tiles together; where they overlap, the later one fades in over ``overlap`` pixels."""
    picture = Image.new("RGB", (grid.width, grid.height))
    for y_index, row in enumerate(grid.rows):
        strip = Image.new("RGB", (grid.width, grid.tile_height))
        for x_index, tile in enumerate(row):
            if x_index == 0:
                strip.paste(tile.image, (0, 0))
                continue
            fading = tile.image.crop((0, 0, grid.overlap, grid.tile_height))
            strip.paste(fading, (tile.x, 0), _ramp(grid.overlap, grid.tile_height))
            rest = tile.image.crop((grid.overlap, 0, grid.tile_width, grid.tile_height))
            strip.paste(rest, (tile.x + grid.overlap, 0))
        if y_index == 0:
            picture.paste(strip, (0, 0))
            continue
        y = row[0].y
        ramp = _ramp(grid.overlap, grid.width).transpose(Image.Transpose.TRANSPOSE)
        picture.paste(strip.crop((0, 0, grid.width, grid.overlap)), (0, y), ramp)
        picture.paste(strip.crop((0, grid.overlap, grid.width, grid.tile_height)), (0, y + grid.overlap))
    return picture


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along one side: evenly spread, the last one ending at the border."""
    step = max(1, tile - overlap)
    count = max(1, math.ceil((length - overlap) / step))
    spacing = (length - tile) / (count - 1) if count > 1 else 0.0
    starts = [int(index * spacing) for index in range(count)]
    return [max(0, length - tile) if start + tile >= length else start for start in starts]


def _ramp(length: int, across: int) -> Image.Image:
    """A mask from black (left) to almost white (right)."""
    row = (np.arange(length) * 255 / max(1, length)).astype(np.uint8)
    return Image.fromarray(np.tile(row, (across, 1)))
