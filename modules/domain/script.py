"""What a script is called and what it asks the user: plain data from which page and API are built.

Labels, order, ranges and defaults of the built-in scripts are A1111's, because its clients send a
script's arguments by position and its users' localisation files translate by label.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from modules.exceptions import RequestError

__all__ = [
    "BOTH_TABS",
    "ArgumentKind",
    "ArgumentSwap",
    "Arguments",
    "ScriptArgument",
    "ScriptDeclaration",
    "ScriptTab",
    "read_arguments",
]

ScriptTab = Literal["txt2img", "img2img"]
BOTH_TABS: tuple[ScriptTab, ...] = ("txt2img", "img2img")

ArgumentKind = Literal[
    "note", "text", "slider", "number", "checkbox", "dropdown", "radio", "checkboxes", "multiselect"
]
_MANY: tuple[ArgumentKind, ...] = ("checkboxes", "multiselect")
_ONE: tuple[ArgumentKind, ...] = ("dropdown", "radio")
_MAX_TEXT = 200_000  # characters; a list of prompts may be long


@dataclass(frozen=True)
class ScriptArgument:
    """One argument: a control on the page, one place in ``script_args``.

    Attributes:
        key: name for the script, and the end of the control's element id.
        kind: what the user sees; a "note" is a sentence and carries no value.
        minimum, maximum, step: of sliders.
        most: what clients may send beyond the slider's end; None is the end.
        choices: what may be chosen, where that is known beforehand.
        choices_from: name of a list that is known only at run time ("upscalers", "axes:txt2img" ...).
        choices_by: key of the argument whose value decides what may be chosen here; this control takes
            the place of the one named ``instead_of`` while there is something to choose.
        instead_of: see ``choices_by``.
        plain_text: key of a checkbox that turns such choices off; the text is used then.
        by_index: the value is the place among the choices, as A1111's clients send it; their names work too.
        fill: label of a button that writes all choices.
        upload: label of a button that fills a text from a file.
        lines: height of a text.
        infotext: key in the parameters of pictures that this is read back from.
    """

    key: str
    label: str
    kind: ArgumentKind
    default: JsonValue = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    choices_from: str = ""
    choices_by: str = ""
    instead_of: str = ""
    plain_text: str = ""
    by_index: bool = False
    fill: str = ""
    upload: str = ""
    lines: int = 1
    infotext: str = ""

    def offered(self, lists: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """What may be chosen; ``lists`` are those that are known only at run time, by name."""
        return tuple(lists.get(self.choices_from, self.choices))

    def shown_default(self, lists: Mapping[str, tuple[str, ...]]) -> JsonValue:
        """The default as users see it: a place among the choices by its name."""
        choices = self.offered(lists)
        if self.by_index and isinstance(self.default, int) and choices:
            return choices[min(self.default, len(choices) - 1)]
        return self.default


@dataclass(frozen=True)
class ArgumentSwap:
    """A button that exchanges the values of pairs of arguments."""

    key: str
    label: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ScriptDeclaration:
    """A script as users and clients know it.

    Attributes:
        title: shown in the list; clients name it in any case.
        tabs: where it can be chosen.
        arguments: in the order of ``script_args``.
        swaps: buttons below the arguments.
    """

    title: str
    tabs: tuple[ScriptTab, ...]
    arguments: tuple[ScriptArgument, ...] = ()
    swaps: tuple[ArgumentSwap, ...] = ()

    def element_id(self, tab: str, key: str) -> str:
        """A1111's element id of a control; the tab is part of it where several tabs show the script.

        Tabs that A1111 does not have always are part of it.
        """
        title = re.sub(r"[^a-z_0-9]", "", re.sub(r"\s", "_", self.title.lower()))
        prefix = f"script_{tab}_" if len(self.tabs) > 1 or tab not in self.tabs else "script_"
        return f"{prefix}{title}_{key}"

    def defaults(self) -> tuple[JsonValue, ...]:
        """What is sent when nothing was touched."""
        return tuple(argument.default for argument in self.arguments)


@dataclass(frozen=True)
class Arguments:
    """The values of one call by key; reading one with the wrong type is a mistake of the script."""

    values: Mapping[str, JsonValue] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """A text or a single choice by name."""
        value = self.values[key]
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> float:
        """A number of a slider, whole ones as ``int``."""
        value = self.values[key]
        return value if isinstance(value, int | float) else 0

    def whole(self, key: str) -> int:
        """A whole number, or the place of a choice."""
        return int(self.number(key))

    def flag(self, key: str) -> bool:
        """Whether a box is checked."""
        return self.values[key] is True

    def names(self, key: str) -> tuple[str, ...]:
        """Several choices by name."""
        value = self.values[key]
        return tuple(str(name) for name in value) if isinstance(value, list) else ()


def read_arguments(
    declaration: ScriptDeclaration,
    sent: Sequence[JsonValue],
    choices: Mapping[str, Sequence[str]],
) -> Arguments:
    """Check the arguments of a call.

    Args:
        declaration: of the script.
        sent: values by position; missing ones and null are the defaults, surplus ones are ignored.
        choices: lists that are known only at run time, by the name in ``choices_from``.

    Raises:
        RequestError: a value cannot be used; the message names the argument.
    """
    values: dict[str, JsonValue] = {}
    for place, argument in enumerate(declaration.arguments):
        value = sent[place] if place < len(sent) else None
        names = tuple(choices.get(argument.choices_from, ())) or argument.choices
        try:
            values[argument.key] = _checked(argument, argument.default if value is None else value, names)
        except ValueError as error:
            raise RequestError(
                "script_args", f"{declaration.title}: {argument.label or argument.key} {error}"
            ) from None
    return Arguments(values)


def _checked(argument: ScriptArgument, value: JsonValue, names: tuple[str, ...]) -> JsonValue:
    """The value in its own type.

    Raises:
        ValueError: what is wrong with it, to stand behind the argument's label.
    """
    if argument.kind == "note":
        return ""
    if argument.kind == "checkbox":
        return bool(value)
    if argument.kind in ("slider", "number"):
        return _number(argument, value)
    if argument.kind in _MANY:
        return _several(value, names)
    if argument.kind in _ONE:
        return _choice(argument, value, names)
    text = str(value)
    if len(text) > _MAX_TEXT:
        raise ValueError(f"has {len(text)} characters; at most {_MAX_TEXT} are taken")
    return text


def _number(argument: ScriptArgument, value: JsonValue) -> int | float:
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(f"needs a number (you gave {str(value)[:40]!r})")
    low, high = argument.minimum, argument.maximum if argument.most is None else argument.most
    if (low is not None and number < low) or (high is not None and number > high):
        raise ValueError(f"must be {low:g} to {high:g} (you gave {number})")
    whole = argument.step is not None and float(argument.step).is_integer() and float(number).is_integer()
    return int(number) if whole else number


def _several(value: JsonValue, names: tuple[str, ...]) -> list[JsonValue]:
    if isinstance(value, str):
        value = [value] if value else []
    if not isinstance(value, list):
        raise ValueError("needs a list of names")  # noqa: TRY004 - a client's mistake, not the caller's
    unknown = [str(one) for one in value if names and one not in names]
    if unknown:
        raise ValueError(f"knows no {unknown[0][:40]!r}; there are: {', '.join(names)}")
    return [str(one) for one in value]


def _choice(argument: ScriptArgument, value: JsonValue, names: tuple[str, ...]) -> JsonValue:
    """A name, or its place where the script wants that; clients may send either."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        place = int(value)
        if not 0 <= place < len(names):
            raise ValueError(f"must be 0 to {len(names) - 1} (you gave {value})")
    else:
        known = [name.lower() for name in names]
        if str(value).lower() not in known:
            raise ValueError(f"knows no {str(value)[:40]!r}; there are: {', '.join(names)}")
        place = known.index(str(value).lower())
    return place if argument.by_index else names[place]
