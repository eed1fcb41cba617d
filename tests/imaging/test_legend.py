"""Legends beside grids: as large as A1111's, readable, and its very pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.imaging.legend import LegendLine, LegendStyle, draw_legend

CASES = Path(__file__).parents[1] / "golden" / "cases"
PLAIN = Image.new("RGB", (128, 128), "#336699")


def lines(*texts: str) -> list[list[LegendLine]]:
    return [[LegendLine(text)] for text in texts]


def test_the_legend_of_a_plot_has_the_references_pixels() -> None:
    expected = Image.open(CASES / "script_xyz-1" / "image_0.png").convert("RGB")
    grid = expected.crop((48, 9, 176, 137))
    drawn = draw_legend(grid, (64, 64), lines("Steps: 3", "Steps: 7"), lines("Seed: 11", "Seed: 12"))
    assert np.array_equal(np.asarray(drawn), np.asarray(expected))


def test_what_is_left_out_is_struck_through_with_the_references_pixels() -> None:
    expected = Image.open(CASES / "script_prompt_matrix-1" / "image_0.png").convert("RGB")
    grid = expected.crop((48, 8, 176, 136))
    both = [[[LegendLine(text, active)] for active in (False, True)] for text in ("red hat", "in snow")]
    drawn = draw_legend(grid, (64, 64), *both)
    assert np.array_equal(np.asarray(drawn), np.asarray(expected))


def test_without_words_nothing_but_the_margin_is_added() -> None:
    drawn = draw_legend(PLAIN, (64, 64), lines("", ""), lines("", ""), margin=10)
    assert drawn.size == (138, 138)
    assert drawn.getpixel((69, 69)) == (255, 255, 255)
    assert drawn.getpixel((60, 60)) == (0x33, 0x66, 0x99)


def test_a_long_text_wraps_and_makes_room() -> None:
    short = draw_legend(PLAIN, (64, 64), lines("a", "b"), lines("", ""))
    long = draw_legend(
        PLAIN, (64, 64), lines("a", "many words that need far more than a line"), lines("", "")
    )
    assert long.height > short.height
    assert long.width == short.width


@pytest.mark.parametrize("text", ["Kätzchen im Schnee", "雪中的猫", "w" * 300])
def test_any_text_can_be_drawn(text: str) -> None:
    drawn = np.asarray(draw_legend(PLAIN, (64, 64), lines(text, ""), lines("", "")))
    assert drawn.shape[1] == 128
    assert (drawn[: drawn.shape[0] - 128] < 255).any()


def test_colours_are_those_of_the_style() -> None:
    style = LegendStyle(active="#ff0000", background="#000000")
    drawn = np.asarray(draw_legend(PLAIN, (64, 64), lines("XXXX", ""), lines("", ""), style=style))
    above = drawn[: drawn.shape[0] - 128]
    assert above[..., 0].max() > 100
    assert above[..., 1:].max() == 0


def test_a_font_that_cannot_be_read_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    missing = LegendStyle(font="/no/such.ttf")
    usual, drawn = (
        draw_legend(PLAIN, (64, 64), lines("a", ""), lines("", ""), style=s) for s in (None, missing)
    )
    assert np.array_equal(np.asarray(usual), np.asarray(drawn))
    assert "/no/such.ttf" in caplog.text
