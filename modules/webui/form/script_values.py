"""The script row of a form as values: which script is chosen, and its arguments by position."""

from collections.abc import Mapping

from pydantic import JsonValue

from modules.domain.axis_values import split_list
from modules.domain.script_declarations import PLOT

__all__ = ["ARGUMENTS_KEY", "NO_SCRIPT", "SCRIPT_KEY", "chosen_script", "pasted_script"]

NO_SCRIPT = "None"
SCRIPT_KEY = "script"
ARGUMENTS_KEY = "script_arguments"  # its value: arguments by place, by title


def chosen_script(values: Mapping[str, object]) -> tuple[str | None, tuple[JsonValue, ...]]:
    """Title and arguments of the script that a form asks for; None and nothing when it asks for none.

    Arguments that are null or missing mean their defaults.
    """
    title, written = values.get(SCRIPT_KEY), values.get(ARGUMENTS_KEY)
    if not isinstance(title, str) or title in ("", NO_SCRIPT):
        return None, ()
    arguments = written.get(title) if isinstance(written, Mapping) else None
    return title, tuple(_plain(value) for value in arguments) if isinstance(arguments, list) else ()


def pasted_script(found: Mapping[str, object]) -> dict[str, object]:
    """The script that a picture's parameters name, and its arguments as far as they tell them.

    A picture that names none switches the script off; arguments that are not told get their defaults.
    """
    declaration = PLOT if found.get("Script") == PLOT.title else None
    if declaration is None:
        return {SCRIPT_KEY: NO_SCRIPT}
    arguments: list[JsonValue] = []
    for argument in declaration.arguments:
        told = found.get(argument.infotext) if argument.infotext else None
        unset = "Nothing" if argument.choices_from == "axes" else ""
        text = str(told) if told is not None else unset
        names: list[JsonValue] = [*split_list(text)] if argument.kind == "multiselect" else []
        arguments.append((names or text) if argument.infotext else None)
    return {SCRIPT_KEY: declaration.title, ARGUMENTS_KEY: {declaration.title: arguments}}


def _plain(value: object) -> JsonValue:
    if isinstance(value, (list, tuple)):
        return [str(one) for one in value]
    return value if isinstance(value, (str, int, float, bool)) else None
