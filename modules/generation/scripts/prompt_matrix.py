"""Prompt matrix: every combination of the parts that ``|`` separates, as a grid."""

import math
from collections.abc import Sequence

from modules.domain.request import GenerationRequest
from modules.domain.script import Arguments
from modules.domain.script_declarations import PROMPT_MATRIX
from modules.exceptions import RequestError
from modules.generation.scripts.script import (
    Render,
    RenderItem,
    Script,
    ScriptCoroutine,
    ScriptResult,
    ScriptRoom,
    Sheet,
)
from modules.imaging.grid import image_grid
from modules.imaging.legend import LegendLine, draw_legend

__all__ = ["SCRIPT"]

MAX_PARTS = 13  # 8192 pictures; every further part doubles them


def _run(request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> ScriptCoroutine:
    positive = arguments.text("prompt_type") == "positive"
    original = request.prompt if positive else request.negative_prompt
    first, *parts = original.split("|")
    if len(parts) > MAX_PARTS:
        raise RequestError("prompt", f"Prompt matrix: {len(parts)} parts are too many; at most {MAX_PARTS}.")
    comma = arguments.text("variations_delimiter") == "comma"
    prompts = _combinations(first, parts, ", " if comma else " ", at_start=arguments.flag("put_at_start"))
    field = "prompt" if positive else "negative_prompt"
    items = tuple(
        RenderItem(
            request.model_copy(
                update={
                    field: prompt,
                    "seed": request.seed + (place if arguments.flag("different_seeds") else 0),
                    "subseed": request.subseed + place,
                    "batch_size": 1,
                    "n_iter": 1,
                }
            ),
            place=place,
        )
        for place, prompt in enumerate(prompts)
    )
    answer = yield Render(items, parallel=request.batch_size)
    pictures = answer.all()
    if len(pictures) < len(items):
        return ScriptResult()
    images = [picture.image() for picture in pictures]
    grid = image_grid(images, 1 << (len(parts) // 2))
    columns, rows = _legend(parts)
    sheet = draw_legend(
        grid,
        images[0].size,
        columns,
        rows,
        margin=arguments.whole("margin_size"),
        style=room.legend_style,
    )
    label = pictures[0].infotext
    return ScriptResult(
        (Sheet(sheet, label, pictures[0].seed, original, series="prompt_matrix", is_grid=True),)
    )


def _combinations(first: str, parts: Sequence[str], delimiter: str, *, at_start: bool) -> list[str]:
    """The first part with every choice of the others; bit ``i`` of the place decides on part ``i``."""
    prompts = []
    for number in range(1 << len(parts)):
        chosen = [part.strip().strip(",") for bit, part in enumerate(parts) if number >> bit & 1]
        prompts.append(delimiter.join([*chosen, first] if at_start else [first, *chosen]))
    return prompts


def _legend(parts: Sequence[str]) -> tuple[list[list[LegendLine]], list[list[LegendLine]]]:
    """Columns and rows: each says of its share of the parts which are there."""
    half = math.ceil(len(parts) / 2)

    def side(names: Sequence[str]) -> list[list[LegendLine]]:
        return [
            [LegendLine(name, bool(number >> bit & 1)) for bit, name in enumerate(names)]
            for number in range(1 << len(names))
        ]

    return side(parts[:half]), side(parts[half:])


SCRIPT = Script(PROMPT_MATRIX, _run)
