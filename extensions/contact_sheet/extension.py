"""A script of thirty lines: the same request with several seeds, on one sheet with the seeds beside it."""

from collections.abc import Sequence

from modules.domain.request import GenerationRequest
from modules.domain.script import BOTH_TABS, Arguments, ScriptArgument, ScriptDeclaration
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
from modules.plugins.hookspecs import hookimpl

__all__ = ["scripts"]

DECLARATION = ScriptDeclaration(
    "Contact sheet",
    BOTH_TABS,
    (
        ScriptArgument("seeds", "Number of seeds", "slider", 6, minimum=2, maximum=64, step=1),
        ScriptArgument("show_each", "Show each picture as well", "checkbox", True),
    ),
)


def run(request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> ScriptCoroutine:
    """Ask for one picture for each seed; put them side by side."""
    shown = arguments.flag("show_each")
    items = tuple(
        RenderItem(
            request.model_copy(update={"seed": request.seed + number, "batch_size": 1, "n_iter": 1}),
            place=number if shown else None,
        )
        for number in range(arguments.whole("seeds"))
    )
    answer = yield Render(items, parallel=request.batch_size)
    pictures = answer.all()
    if not pictures:
        return ScriptResult()
    images = [picture.image() for picture in pictures]
    columns = [[LegendLine(str(picture.seed))] for picture in pictures]
    row = image_grid(images, 1)
    sheet = draw_legend(row, images[0].size, columns, [[LegendLine("")]], style=room.legend_style)
    first = pictures[0]
    return ScriptResult(
        (Sheet(sheet, first.infotext, first.seed, first.prompt, "contact_sheet", is_grid=True),)
    )


@hookimpl
def scripts() -> Sequence[Script]:
    """The script of this extension."""
    return [Script(DECLARATION, run)]
