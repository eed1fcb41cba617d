"""Loopback: the result becomes the next start picture, again and again."""

import math

from pydantic import JsonValue

from modules.domain.request import GenerationRequest, ImageToImage
from modules.domain.script import Arguments
from modules.domain.script_declarations import LOOPBACK
from modules.exceptions import NotFoundError, RequestError
from modules.generation.scripts.script import (
    Render,
    RenderedPicture,
    RenderItem,
    Script,
    ScriptCoroutine,
    ScriptResult,
    ScriptRoom,
    Sheet,
)
from modules.generation.scripts.start import start_picture
from modules.imaging.grid import image_grid

__all__ = ["SCRIPT"]

_ORIGINAL = 1  # masked content: what there is


def _run(request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> ScriptCoroutine:
    begun = start_picture(request)
    loops, final = arguments.whole("loops"), arguments.number("final_denoising_strength")
    curve, describe = arguments.text("denoising_curve"), arguments.text("append_interrogation")
    runs, total = request.n_iter, loops * request.n_iter
    parameters: dict[str, JsonValue] = {"Final denoising strength": final, "Denoising curve": curve}
    seed, history, first = request.seed, list[RenderedPicture](), ""
    for run in range(runs):
        start = begun
        for loop in range(loops):
            strength = _strength(begun.denoising_strength, final, loop, loops, curve)
            changes = {
                "prompt": _described(request.prompt, describe, start, room),
                "seed": seed,
                "batch_size": 1,
                "n_iter": 1,
                "image_to_image": start.model_copy(update={"denoising_strength": strength}),
            }
            wanted = runs == 1 or loop == loops - 1
            item = RenderItem(
                request.model_copy(update=changes), parameters, place=len(history) if wanted else None
            )
            answer = yield Render((item,), later=total - run * loops - loop - 1)
            pictures = answer.all()
            if not pictures:
                break
            first = first or pictures[0].infotext
            if wanted:
                history.append(pictures[0])
            if answer.interrupted:
                break
            seed += 1
            blob = room.blobs.put(pictures[0].path.read_bytes())
            start = start.model_copy(update={"images": (blob,), "inpainting_fill": _ORIGINAL})
        if not pictures or answer.interrupted:
            break
    return _result(request, history, first, room)


def _result(
    request: GenerationRequest, history: list[RenderedPicture], first: str, room: ScriptRoom
) -> ScriptResult:
    """The pictures side by side. ``info`` repeats the first one's parameters, as A1111's does."""
    settings = room.settings
    if len(history) < 2 or not (settings.return_grid or settings.grid_save):
        return ScriptResult(infotexts=(first,) * len(history))
    grid = image_grid([picture.image() for picture in history], 1, background=settings.grid_background_color)
    sheet = Sheet(grid, first, request.seed, request.prompt, is_grid=True, shown=settings.return_grid)
    return ScriptResult((sheet,), infotexts=(first,) * (len(history) + settings.return_grid))


def _strength(initial: float, final: float, loop: int, loops: int, curve: str) -> float:
    """The denoising strength of a loop: from the first to the last along the curve."""
    if loops == 1 or loop == 0:
        return initial
    progress = loop / (loops - 1)
    if curve == "Aggressive":
        progress = math.sin(progress * math.pi * 0.5)
    elif curve == "Lazy":
        progress = 1 - math.cos(progress * math.pi * 0.5)
    return initial + (final - initial) * progress


def _described(prompt: str, method: str, start: ImageToImage, room: ScriptRoom) -> str:
    if method == "None":
        return prompt
    if room.describe is None:
        raise RequestError("script_args", f"Loopback: {method} is not installed here; choose None.")
    try:
        words = room.describe(room.load(start.images[0]), method)
    except NotFoundError as error:
        raise RequestError("script_args", f"Loopback: {error}") from error
    return f"{prompt}, {words}" if prompt else words


SCRIPT = Script(LOOPBACK, _run)
