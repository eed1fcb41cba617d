import numpy as np
import pytest

from modules.training.fidelity.rules import background_is, hue_is
from modules.training.palette import COLOURS


def _disc(colour: str, background: str) -> np.ndarray:
    y, x = np.mgrid[:128, :128] / 128 - 0.5
    picture = np.empty((128, 128, 3), np.uint8)
    picture[:] = COLOURS[background]
    picture[x * x + y * y < 0.1] = COLOURS[colour]
    return picture


@pytest.mark.parametrize("colour", COLOURS)
def test_a_plain_background_has_its_own_name_and_no_other(colour: str) -> None:
    picture = _disc("red", colour)
    assert [name for name in COLOURS if background_is(picture, name)] == [colour]


def test_the_hue_is_that_of_the_foreground() -> None:
    picture = _disc("green", "blue")
    assert hue_is(picture, "green")
    assert not hue_is(picture, "blue")
    assert not hue_is(_disc("blue", "blue"), "blue")  # nothing stands before the background
