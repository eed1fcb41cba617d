"""The script row of a form as values: which script is chosen, and its arguments by position."""

from collections.abc import Mapping

from pydantic import JsonValue

from modules.domain.axis_values import split_list
from modules.domain.script import ScriptDeclaration
from modules.domain.script_declarations import PLOT

__all__ = ["NO_SCRIPT", "SCRIPT_KEY", "argument_key", "chosen_script", "pasted_script"]

NO_SCRIPT = "None"
SCRIPT_KEY = "script"
_MARK = "script_argument"


def argument_key(declaration: ScriptDeclaration, position: int) -> str:
    """Key in the form of an argument's control."""
    return f"{_MARK}:{declaration.title}:{position}"


def chosen_script(values: Mapping[str, object]) -> tuple[str | None, tuple[JsonValue, ...]]:
    """Title and arguments of the script that a form asks for; None and nothing when it asks for none.

    Positions without a control (notes) are null, which means their default.
    """
    title = values.get(SCRIPT_KEY)
    if not isinstance(title, str) or title in ("", NO_SCRIPT):
        return None, ()
    start = f"{_MARK}:{title}:"
    placed = {
        int(key.removeprefix(start)): _plain(value) for key, value in values.items() if key.startswith(start)
    }
    return title, tuple(placed.get(position) for position in range(max(placed, default=-1) + 1))


def pasted_script(found: Mapping[str, object]) -> dict[str, object]:
    """The script that a picture's parameters name, and its arguments as far as they tell them.

    A picture that names none switches the script off; arguments that are not told get their defaults.
    """
    declaration = PLOT if found.get("Script") == PLOT.title else None
    if declaration is None:
        return {SCRIPT_KEY: NO_SCRIPT}
    values: dict[str, object] = {SCRIPT_KEY: declaration.title}
    for position, argument in enumerate(declaration.arguments):
        if argument.infotext:
            told = found.get(argument.infotext)
            unset = "Nothing" if argument.choices_from == "axes" else ""
            text = str(told) if told is not None else unset
            several = argument.kind == "multiselect"
            values[argument_key(declaration, position)] = split_list(text) if several else text
    return values


def _plain(value: object) -> JsonValue:
    if isinstance(value, (list, tuple)):
        return [str(one) for one in value]
    return value if isinstance(value, (str, int, float, bool)) else None
