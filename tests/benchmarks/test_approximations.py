"""What approximations save and cost, as measured and as told."""

from pathlib import Path

import numpy as np

from benchmarks.approximations import APPROXIMATIONS, Distance, picture_distance, steps, table
from benchmarks.kinds import KINDS
from benchmarks.results import this_machine


def test_steps_are_compared_with_the_exact_one(tmp_path: Path) -> None:
    found = steps(KINDS["tiny"], 64, 1, tmp_path)
    assert found.keys() == {"exact", *(each.label for each in APPROXIMATIONS)}
    assert found["exact"].deviation == (0.0,)
    for each in APPROXIMATIONS:
        assert all(0 < deviation < 1 for deviation in found[each.label].deviation)
        assert len(found[each.label].deviation) == each.rows - 1
    eight_bits = found["weights in eight bits"].weights / found["exact"].weights
    assert 0.2 < eight_bits < 0.6  # of 32 bits or of 16


def test_the_distance_of_pictures_is_in_grey_levels() -> None:
    black, grey = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 200, np.uint8)
    assert picture_distance(black, grey) == picture_distance(grey, black) == 200.0


def test_the_table_names_every_approximation_and_what_is_not_seen() -> None:
    of_steps = {"exact": Distance(1.0, (0.0,), 100), "token merging 0.5": Distance(0.75, (0.0123,), 100)}
    of_pictures = {"weights in eight bits": Distance(1.5, (1.0, 2.0, 6.0))}
    text = table(this_machine(), "a step", of_steps, of_pictures)
    assert "| token merging 0.5 | 75% | 1.2e-02 | 100% | no effect |  |" in text
    assert "| weights in eight bits |  |  |  | 150% | 2.0, 6.0 |" in text
    assert all(each.label in text for each in APPROXIMATIONS)
