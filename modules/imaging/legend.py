"""Legends beside a grid of pictures: above its columns what they show, and to the left of its rows.

Sizes and places are A1111's, so that a plot has the same pixels: a letter is a 25th of width plus height
of a cell, rows get three quarters of a cell's width, words wrap, and what still does not fit shrinks.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import font_roboto
from PIL import Image, ImageChops, ImageDraw, ImageFont

__all__ = ["LegendLine", "LegendStyle", "draw_legend"]

log = logging.getLogger(__name__)

_SIZE_PART = 25  # letters are (width + height) / 25 pixels high
_STRIKE_WIDTH = 4  # pixels of the line through what is left out
_TINY = 8  # pixels; up to here FreeType 2.14 sets the dots of i and j a pixel higher than 2.13 did for A1111

Font = ImageFont.FreeTypeFont


@dataclass(frozen=True)
class LegendLine:
    """One line of a legend; what is not active is struck through."""

    text: str
    is_active: bool = True


@dataclass(frozen=True)
class LegendStyle:
    """Font file ("" is Roboto) and colours as ``#rrggbb``."""

    font: str = ""
    active: str = "#000000"
    inactive: str = "#999999"
    background: str = "#ffffff"


@dataclass(frozen=True)
class _Line:
    """A line that fits: its size in pixels as measured before shrinking."""

    text: str
    is_active: bool
    width: float
    height: float
    font: Font


@dataclass(frozen=True)
class _Block:
    """Lines below each other."""

    lines: tuple[_Line, ...]
    spacing: int

    @property
    def height(self) -> float:
        return sum(line.height for line in self.lines) + self.spacing * max(0, len(self.lines) - 1)


def draw_legend(
    grid: Image.Image,
    cell: tuple[int, int],
    columns: Sequence[Sequence[LegendLine]],
    rows: Sequence[Sequence[LegendLine]],
    *,
    margin: int = 0,
    style: LegendStyle | None = None,
) -> Image.Image:
    """The grid with room around its cells and words in it; mode RGB.

    Args:
        grid: cells of one size without gaps.
        cell: width and height of a cell in pixels.
        columns: the lines above each column.
        rows: the lines beside each row.
        margin: pixels between cells.
        style: font and colours; a font that cannot be read is told to the log, and Roboto is used.
    """
    style = style or LegendStyle()
    width, height = cell
    size = (width + height) // _SIZE_PART
    spacing = size // 2
    left = width * 3 // 4 if any(line.text for lines in rows for line in lines) else 0
    above = [_block(lines, width, size, spacing, style.font) for lines in columns]
    beside = [_block(lines, left, size, spacing, style.font) for lines in rows]
    top = (
        math.floor(max(block.height for block in above)) + 2 * spacing if any(b.height for b in above) else 0
    )
    gaps = (margin * (len(columns) - 1), margin * (len(rows) - 1))
    sheet = Image.new("RGB", (grid.width + left + gaps[0], grid.height + top + gaps[1]), style.background)
    for row in range(len(rows)):
        for column in range(len(columns)):
            box = (width * column, height * row, width * (column + 1), height * (row + 1))
            place = (left + (width + margin) * column, top + (height + margin) * row)
            sheet.paste(grid.crop(box), place)
    for column, block in enumerate(above):
        _draw(sheet, left + (width + margin) * column + width / 2, top / 2 - block.height / 2, block, style)
    for row, block in enumerate(beside):
        middle = top + (height + margin) * row + height / 2
        # each line but the first is counted one gap short, as A1111 does
        missing = spacing * max(0, len(block.lines) - 1)
        _draw(sheet, left / 2, middle - (block.height - missing) / 2, block, style)
    return sheet


def _block(lines: Sequence[LegendLine], width: int, size: int, spacing: int, font_file: str) -> _Block:
    """Lines wrapped to ``width`` pixels; a single word that is wider gets smaller letters."""
    font = _font(font_file, size)
    fitted: list[_Line] = []
    for line in lines:
        for text in _wrapped(line.text, font, width):
            left, top, right, bottom = _bounds(font, text)
            small = size
            while small > 1 and _font(font_file, small).getlength(text) > width:
                small -= 1
            fitted.append(_Line(text, line.is_active, right - left, bottom - top, _font(font_file, small)))
    return _Block(tuple(fitted), spacing)


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _draw(sheet: Image.Image, x: float, y: float, block: _Block, style: LegendStyle) -> None:
    """Write the lines centred at ``x`` from ``y`` downwards."""
    pen = ImageDraw.Draw(sheet)
    for line in block.lines:
        colour = style.active if line.is_active else style.inactive
        _write(sheet, (x, y + line.height / 2), line, colour)
        if not line.is_active:
            half, middle = line.width // 2, y + line.height // 2
            pen.line((x - half, middle, x + half, middle), fill=colour, width=_STRIKE_WIDTH)
        y += line.height + block.spacing


def _write(sheet: Image.Image, centre: tuple[float, float], line: _Line, colour: str) -> None:
    """Write one line letter by letter: where two letters touch, the darker one counts and not both.

    Scripts whose letters change with their neighbours are left to the font.
    """
    if not line.text.isascii():
        ImageDraw.Draw(sheet).text(centre, line.text, font=line.font, fill=colour, anchor="mm")
        return
    x, y = centre
    reach = math.ceil(line.font.size) * 2
    length = line.font.getlength(line.text)
    corner = (math.floor(x - length / 2) - reach, math.floor(y) - reach)
    begin = x - math.floor(length / 2 + 0.5) - corner[0]
    size = (math.ceil(length) + 2 * reach, 2 * reach)
    ink = Image.new("L", size)
    for place, letter in enumerate(line.text):
        offset = line.font.getlength(line.text[: place + 1]) - line.font.getlength(letter)
        one = Image.new("L", size)
        at = (begin + offset, y - corner[1])
        ImageDraw.Draw(one).text(at, letter, font=line.font, fill=255, anchor="lm")
        if letter in "ij" and _is_tiny(line.font):
            _lower_dot(one)
        ink = ImageChops.lighter(ink, one)
    sheet.paste(Image.new("RGB", size, colour), corner, ink)


def _bounds(font: Font, text: str) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a line in pixels."""
    left, top, right, bottom = font.getbbox(text)
    if _is_tiny(font):
        top = font.getbbox(text.translate({ord("i"): "l", ord("j"): "l"}))[1]
    return left, top, right, bottom


def _is_tiny(font: Font) -> bool:
    return font.size <= _TINY and font.getname()[0] == "Roboto"


def _lower_dot(ink: Image.Image) -> None:
    """Move the uppermost row of a letter's ink down by a pixel."""
    box = ink.getbbox()
    if box is not None:
        row = (0, box[1], ink.width, box[1] + 1)
        dot = ink.crop(row)
        ink.paste(0, row)
        ink.paste(dot, (0, box[1] + 1))


@lru_cache(maxsize=64)
def _font(path: str, size: int) -> Font:
    if path:
        try:
            return ImageFont.truetype(path, max(1, size))
        except OSError as error:  # no reason to lose a finished plot
            log.warning("the font %s of the setting font cannot be read: %s", path, error)
    with resources.as_file(resources.files(font_roboto) / "files" / "Roboto-Regular.ttf") as file:
        return ImageFont.truetype(file, max(1, size))
