import pytest
from PIL import Image

from modules.imaging.grid import grid_rows, image_grid


@pytest.mark.parametrize(
    ("count", "rows"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 2), (7, 3), (9, 3), (12, 3), (13, 4)]
)
def test_rows_are_chosen_by_the_root(count: int, rows: int) -> None:
    assert grid_rows(count) == rows


def test_rows_follow_the_setting() -> None:
    assert grid_rows(6, setting=5) == 5
    assert grid_rows(3, setting=5) == 3
    assert grid_rows(8, setting=0, batch_size=4) == 4
    assert grid_rows(6, prevent_empty_spots=True) == 2
    assert grid_rows(7, prevent_empty_spots=True) == 1


def test_smaller_pictures_are_centred_in_their_cells() -> None:
    small, large = Image.new("RGB", (2, 2), (255, 0, 0)), Image.new("RGB", (4, 6), (0, 255, 0))

    grid = image_grid([small, large, small], 2, background="#0000ff")

    assert grid.size == (8, 12)
    assert grid.getpixel((0, 0)) == (0, 0, 255)
    assert grid.getpixel((1, 2)) == (255, 0, 0)
    assert grid.getpixel((4, 0)) == (0, 255, 0)
    assert grid.getpixel((7, 11)) == (0, 0, 255)
