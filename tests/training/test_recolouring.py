import numpy as np
import pytest

from modules.training.palette import COLOURS
from modules.training.recolouring import TARGET_COLOURS, colour_of_hue, dominant_hue, paint, recolour
from tests.training.drawings import disc


@pytest.mark.parametrize("colour", TARGET_COLOURS)
def test_the_hue_of_a_plain_drawing_has_its_colours_name(colour: str) -> None:
    hue = dominant_hue(disc(COLOURS[colour]))
    assert hue is not None
    assert colour_of_hue(hue) == colour


@pytest.mark.parametrize("colour", TARGET_COLOURS)
def test_a_recoloured_drawing_has_the_named_colour(colour: str) -> None:
    drawing = disc((215, 35, 30))
    hue = dominant_hue(drawing)
    assert hue is not None
    result = recolour(drawing, hue, colour)
    assert np.abs(result[128, 128, :3].astype(int) - COLOURS[colour]).max() <= 6
    assert np.array_equal(result[..., 3], drawing[..., 3])


def test_other_colours_of_the_drawing_stay() -> None:
    drawing = disc((215, 35, 30))
    drawing[120:136, 120:136, :3] = (30, 160, 60)
    result = recolour(drawing, 1.0, "blue")
    assert result[128, 128, :3].tolist() == [30, 160, 60]


def test_grey_and_many_coloured_drawings_have_no_dominant_hue() -> None:
    two = disc((215, 35, 30))
    two[:128, :, :3] = (40, 90, 220)
    assert dominant_hue(disc((128, 128, 128))) is None
    assert dominant_hue(two) is None


def test_painting_keeps_the_shape() -> None:
    drawing = disc((0, 0, 0))
    painted = paint(drawing, "teal")
    assert painted[128, 128].tolist() == [*COLOURS["teal"], 255]
    assert np.array_equal(painted[..., 3], drawing[..., 3])
