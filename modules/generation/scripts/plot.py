"""X/Y/Z plot: up to three things vary, and a grid shows every combination."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from modules.domain.axis_values import parse_values, split_list, write_list
from modules.domain.infotext import with_parameters
from modules.domain.plot_axes import Axis, AxisValue, apply_value, axes_of, axis_label
from modules.domain.request import GenerationRequest
from modules.domain.script import Arguments
from modules.domain.script_declarations import PLOT
from modules.exceptions import RequestError
from modules.generation.scripts.grids import batch_sheet
from modules.generation.scripts.script import (
    Render,
    RenderAnswer,
    RenderedPicture,
    RenderItem,
    Script,
    ScriptCoroutine,
    ScriptResult,
    ScriptRoom,
    Sheet,
)
from modules.imaging.grid import image_grid
from modules.imaging.legend import LegendLine, LegendStyle, draw_legend

__all__ = ["SCRIPT"]

_SEED_AXES = ("Seed", "Var. seed")
_RANDOM = -1
MAX_SEED = 2**32 - 2
Cell = tuple[int, int, int]
"""Column, row and sheet of a cell."""


@dataclass(frozen=True)
class _Side:
    """One of the three axes with its values.

    Attributes:
        letter: X, Y or Z.
        written: the values as the user gave them, for the infotext.
        vary: give each value a seed of its own.
    """

    letter: str
    axis: Axis
    written: str
    values: tuple[AxisValue, ...]
    vary: bool

    def labels(self) -> list[list[LegendLine]]:
        return [[LegendLine(axis_label(self.axis, value))] for value in self.values]

    def parameters(self, *, fixed: bool) -> dict[str, object]:
        """What the infotext of a grid says of this axis."""
        if self.axis.kind == "none":
            return {}
        entries: dict[str, object] = {
            f"{self.letter} Type": self.axis.label,
            f"{self.letter} Values": self.written,
        }
        if fixed and self.axis.label in _SEED_AXES:
            entries[f"Fixed {self.letter} Values"] = ", ".join(map(str, self.values))
        return entries


@dataclass(frozen=True)
class _Plot:
    """The whole plot: its sides, and where a cell is."""

    x: _Side
    y: _Side
    z: _Side

    @property
    def sides(self) -> tuple[_Side, _Side, _Side]:
        return self.x, self.y, self.z

    def count(self) -> int:
        return len(self.x.values) * len(self.y.values) * len(self.z.values)

    def place(self, cell: Cell) -> int:
        """Place of a cell when they are read by columns, rows, sheets."""
        return cell[0] + (cell[1] + cell[2] * len(self.y.values)) * len(self.x.values)

    def cells(self) -> Iterator[Cell]:
        """All cells in the order that changes the dearest axis least often."""
        x, y, z = (side.axis.cost for side in self.sides)
        order = [2, 1, 0]  # outermost first
        if x > y and x > z:
            order = [0, 1, 2] if y > z else [0, 2, 1]
        elif y > x and y > z:
            order = [1, 0, 2] if x > z else [1, 2, 0]
        elif z > x and z > y:
            order = [2, 0, 1] if x > y else [2, 1, 0]
        ranges = [range(len(self.sides[axis].values)) for axis in order]
        for indexes in itertools.product(*ranges):
            cell = dict(zip(order, indexes, strict=True))
            yield cell[0], cell[1], cell[2]

    def request(self, request: GenerationRequest, cell: Cell) -> GenerationRequest:
        """The request of one cell."""
        for side, place in zip(self.sides, cell, strict=True):
            request = apply_value(side.axis, request, side.values[place], side.values)
        wide = len(self.x.values) if self.x.vary else 1
        high = len(self.y.values) if self.y.vary else 1
        shift = self.x.vary * cell[0] + self.y.vary * cell[1] * wide + self.z.vary * cell[2] * wide * high
        return request.model_copy(update={"seed": request.seed + shift})


def _run(request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> ScriptCoroutine:
    settings, fixed = room.settings, not arguments.flag("no_fixed_seeds")
    if not settings.return_grid:
        request = request.model_copy(update={"batch_size": 1})
    plot = _Plot(*(_side(letter, request, arguments, room) for letter in "XYZ"))
    megapixels = round(plot.count() * request.width * request.height / 1_000_000)
    if megapixels >= settings.img_max_size_mp:
        raise RequestError(
            "script_args",
            f"X/Y/Z plot: the grid would have {megapixels} megapixels; "
            f"the setting Maximum image size allows {settings.img_max_size_mp}.",
        )
    cells = tuple(plot.cells())
    random = Random(request.seed)
    requests = [plot.request(request, cell) for cell in cells]
    if not fixed:
        varied = any(side.axis.label == "Seed" for side in plot.sides)
        redrawn = request.seed_was_random and not varied
        requests = [_drawn(one, random, again=redrawn) for one in requests]
    shown = arguments.flag("include_lone_images")
    items = tuple(
        RenderItem(one, place=plot.place(cell) if shown and one.image_count == 1 else None)
        for one, cell in zip(requests, cells, strict=True)
    )
    answer = yield Render(items, tolerant=True)
    return _result(plot, request, arguments, room, _by_place(plot, cells, answer))


def _side(letter: str, request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> _Side:
    """One axis, its values read and looked up.

    Raises:
        RequestError: a value cannot be used.
    """
    low = letter.lower()
    axis = axes_of(request.kind)[arguments.whole(f"{low}_type")]
    chosen, text = arguments.names(f"{low}_values_dropdown"), arguments.text(f"{low}_values")
    if axis.choices and not arguments.flag("csv_mode"):
        entries, written = list(chosen), write_list(chosen)
    else:
        entries, written = split_list(text), text
    values = parse_values(axis, entries)
    for value in values if axis.names else ():
        room.check_name(axis.names, str(value))
    if axis.label in _SEED_AXES and not arguments.flag("no_fixed_seeds"):
        random = Random(f"{request.seed} {letter}")  # the same again after a crash
        values = tuple(random.randrange(MAX_SEED) if value == _RANDOM else value for value in values)
    return _Side(letter, axis, written, values, arguments.flag(f"vary_seeds_{low}"))


def _drawn(request: GenerationRequest, random: Random, *, again: bool) -> GenerationRequest:
    """The request of a cell with the seeds drawn that are still open."""
    seeds = {name: random.randrange(MAX_SEED) for name in ("seed", "subseed")}
    kept = {name for name in seeds if getattr(request, name) >= 0 and not (again and name == "seed")}
    return request.model_copy(update={name: seeds[name] for name in seeds.keys() - kept})


def _by_place(plot: _Plot, cells: Sequence[Cell], answer: RenderAnswer) -> list[tuple[RenderedPicture, ...]]:
    """The pictures of each cell by its place; none where it failed or was not reached."""
    found: list[tuple[RenderedPicture, ...]] = [()] * plot.count()
    for cell, pictures in zip(cells, answer.pictures, strict=False):
        found[plot.place(cell)] = pictures
    return found


def _result(
    plot: _Plot,
    request: GenerationRequest,
    arguments: Arguments,
    room: ScriptRoom,
    cells: list[tuple[RenderedPicture, ...]],
) -> ScriptResult:
    """The sheets: all of Z side by side first, then one for each value of Z."""
    made = [pictures for pictures in cells if pictures]
    if not made:
        return ScriptResult()
    images = [
        batch_sheet([one.image() for one in pictures], request, room.settings) if pictures else None
        for pictures in cells
    ]
    blank = Image.new("RGB", next(image.size for image in images if image is not None))
    area, depth = len(plot.x.values) * len(plot.y.values), len(plot.z.values)
    style = room.legend_style if arguments.flag("draw_legend") else None
    margin, fixed = arguments.whole("margin_size"), not arguments.flag("no_fixed_seeds")
    sheets: list[Sheet] = []
    for number in range(depth):
        part = [image or blank for image in images[number * area : (number + 1) * area]]
        grid = image_grid(part, len(plot.y.values))
        first = next(iter(cells[number * area]), made[0][0])
        if style is not None:
            grid = _legend(grid, part, (plot.x.labels(), plot.y.labels()), margin, style)
        infotext = _grid_infotext(first.infotext, (plot.x, plot.y), fixed=fixed)
        sheets.append(_sheet(grid, first, infotext))
    whole = image_grid([sheet.image for sheet in sheets], 1)
    if style is not None:
        whole = _legend(
            whole, [sheet.image for sheet in sheets], (plot.z.labels(), [[LegendLine("")]]), 0, style
        )
    first = next(iter(cells[0]), made[0][0])
    main = _sheet(whole, first, _grid_infotext(first.infotext, plot.sides, fixed=fixed))
    parts = tuple(sheets) if arguments.flag("include_sub_grids") else ()
    infotexts = [sheet.infotext for sheet in (main, *parts)]
    infotexts += [pictures[0].infotext if pictures else first.infotext for pictures in cells]
    return ScriptResult((main, *parts, *_lone_batches(images, cells, arguments)), tuple(infotexts))


def _lone_batches(
    images: Sequence[Image.Image | None],
    cells: Sequence[tuple[RenderedPicture, ...]],
    arguments: Arguments,
) -> Iterator[Sheet]:
    """Cells of several pictures each, where cells are to be shown by themselves."""
    if arguments.flag("include_lone_images"):
        for image, pictures in zip(images, cells, strict=True):
            if image is not None and len(pictures) > 1:
                yield Sheet(image, pictures[0].infotext, pictures[0].seed, pictures[0].prompt, is_grid=True)


def _legend(
    grid: Image.Image,
    cells: Sequence[Image.Image],
    labels: tuple[list[list[LegendLine]], list[list[LegendLine]]],
    margin: int,
    style: LegendStyle,
) -> Image.Image:
    size = max(cell.width for cell in cells), max(cell.height for cell in cells)
    return draw_legend(grid, size, *labels, margin=margin, style=style)


def _grid_infotext(infotext: str, sides: Sequence[_Side], *, fixed: bool) -> str:
    entries: dict[str, object] = {"Script": PLOT.title}
    for side in sides:
        entries |= side.parameters(fixed=fixed)
    return with_parameters(infotext, entries)


def _sheet(image: Image.Image, first: RenderedPicture, infotext: str) -> Sheet:
    return Sheet(image, infotext, first.seed, first.prompt, series="xyz_grid", is_grid=True)


SCRIPT = Script(PLOT, _run)
