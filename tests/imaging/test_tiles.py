import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.tiles import combine_tiles, split_tiles


@settings(deadline=None, max_examples=40)
@given(st.integers(16, 120), st.integers(16, 120), st.integers(8, 64), st.integers(8, 64), st.integers(0, 7))
def test_cut_and_put_together_is_the_same_picture(
    width: int, height: int, tile_width: int, tile_height: int, overlap: int
) -> None:
    tile_width, tile_height = min(tile_width, width), min(tile_height, height)
    noise = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(noise)

    grid = split_tiles(image, tile_width, tile_height, overlap)

    assert all(tile.image.size == (tile_width, tile_height) for tile in grid.tiles)
    assert combine_tiles(grid).tobytes() == image.tobytes()


def test_tiles_overlap_at_least_as_much_as_asked_and_end_at_the_border() -> None:
    grid = split_tiles(Image.new("RGB", (128, 64)), 64, 64, 16)

    assert [(tile.x, tile.y) for tile in grid.tiles] == [(0, 0), (32, 0), (64, 0)]


def test_where_tiles_overlap_they_fade_into_each_other() -> None:
    grid = split_tiles(Image.new("RGB", (96, 32)), 64, 32, 32)
    black, white = Image.new("RGB", (64, 32)), Image.new("RGB", (64, 32), (255, 255, 255))

    row = np.asarray(combine_tiles(grid.with_images([black, white])))[0, :, 0].astype(int)

    assert (row[:33] == 0).all()
    assert (np.diff(row) >= 0).all()
    assert (row[64:] == 255).all()
    assert 100 < row[48] < 156
