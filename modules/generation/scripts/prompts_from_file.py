"""Prompts from file or textbox: one line, one job; a line may carry options such as ``--steps 30``."""

import shlex
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from pydantic import ValidationError

from modules.domain.request import GenerationRequest
from modules.domain.script import Arguments
from modules.domain.script_declarations import PROMPTS_FROM_FILE
from modules.exceptions import RequestError
from modules.generation.scripts.script import (
    Render,
    RenderItem,
    Script,
    ScriptCoroutine,
    ScriptResult,
    ScriptRoom,
)

__all__ = ["SCRIPT", "line_options"]

MAX_LINES = 10_000


def _truth(text: str) -> bool:
    return text == "true"


_OPTIONS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {
        "sd_model": str,
        "prompt": str,
        "negative_prompt": str,
        "styles": str,
        "seed": int,
        "subseed_strength": float,
        "subseed": int,
        "seed_resize_from_h": int,
        "seed_resize_from_w": int,
        "sampler_index": int,
        "sampler_name": str,
        "batch_size": int,
        "n_iter": int,
        "steps": int,
        "cfg_scale": float,
        "width": int,
        "height": int,
        "restore_faces": _truth,
        "tiling": _truth,
        "do_not_save_samples": _truth,
        "do_not_save_grid": _truth,
        # accepted and without effect: where files go and what they are called is the settings' alone
        "outpath_samples": str,
        "outpath_grids": str,
        "prompt_for_display": str,
    }
)
_WITHOUT_EFFECT = (
    "outpath_samples",
    "outpath_grids",
    "prompt_for_display",
    "do_not_save_grid",
    "sampler_index",
)
_SEVERAL_WORDS = ("prompt", "negative_prompt")


def line_options(line: str) -> dict[str, object]:
    """The options of a line; a line without any, or with a mistake in them, is a prompt as it stands."""
    if "--" not in line:
        return {"prompt": line}
    try:
        return _parsed(shlex.split(line))
    except ValueError:
        return {"prompt": line}


def _parsed(words: list[str]) -> dict[str, object]:
    """Options and values.

    Raises:
        ValueError: a word is where an option should be, a value is missing or has the wrong type.
    """
    found: dict[str, object] = {}
    rest = list(reversed(words))
    while rest:
        option = rest.pop()
        if not option.startswith("--"):
            raise ValueError(option)
        name = option[2:]
        if name not in _OPTIONS:
            continue
        if not rest:
            raise ValueError(option)
        value = rest.pop()
        while name in _SEVERAL_WORDS and rest and not rest[-1].startswith("--"):
            value += f" {rest.pop()}"
        found[name] = _OPTIONS[name](value)
    return found


def _run(request: GenerationRequest, arguments: Arguments, _room: ScriptRoom) -> ScriptCoroutine:
    lines = [line for line in map(str.strip, arguments.text("prompt_txt").splitlines()) if line]
    if not lines:
        raise RequestError("script_args", "Prompts from file or textbox: there is no line with a prompt.")
    if len(lines) > MAX_LINES:
        raise RequestError(
            "script_args", f"Prompts from file or textbox: at most {MAX_LINES} lines (you gave {len(lines)})."
        )
    iterate = arguments.flag("checkbox_iterate")
    same_seed = iterate or arguments.flag("checkbox_iterate_batch") or not request.seed_was_random
    seeds, items, place = Random(request.seed), list[RenderItem](), 0
    for number, line in enumerate(lines):
        options = line_options(line)
        changes = _changes(request, options, at_start=arguments.text("prompt_position") == "start")
        if "seed" not in options:
            step = request.image_count * number if iterate else 0
            first = request.seed if same_seed or number == 0 else seeds.randrange(2**32 - 2)
            changes["seed"] = first + step
        item = _item(request, changes, number + 1, place)
        items.append(item)
        place += item.request.image_count
    yield Render(tuple(items))
    return ScriptResult()


def _changes(
    request: GenerationRequest, options: Mapping[str, object], *, at_start: bool
) -> dict[str, object]:
    """What a line changes; its prompts stand before or behind those of the form."""
    changes = {name: value for name, value in options.items() if name not in _WITHOUT_EFFECT}
    for name in _SEVERAL_WORDS:
        of_form, of_line = getattr(request, name), changes.get(name)
        if of_form and of_line:
            changes[name] = f"{of_line} {of_form}" if at_start else f"{of_form} {of_line}"
    if "sd_model" in changes:
        changes["checkpoint"] = changes.pop("sd_model")
    if isinstance(styles := changes.get("styles"), str):
        changes["styles"] = tuple(filter(None, map(str.strip, styles.split(","))))
    if changes.pop("do_not_save_samples", False):
        changes["save_images"] = False
    return changes


def _item(request: GenerationRequest, changes: Mapping[str, object], number: int, place: int) -> RenderItem:
    try:
        return RenderItem(GenerationRequest.model_validate({**dict(request), **changes}), place=place)
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
        name = finding["loc"][0] if finding["loc"] else "width"
        raise RequestError(
            "script_args", f"Prompts from file or textbox, line {number}: {name}: {finding['msg']}"
        ) from error


SCRIPT = Script(PROMPTS_FROM_FILE, _run)
