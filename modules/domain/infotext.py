"""Generation parameters as text: A1111's ``parameters`` chunk, written and read.

The text is the prompt, a ``Negative prompt:`` part when there is one, and one line of ``Key: value``
pairs. :func:`format_infotext` writes it, :func:`split_infotext` takes it apart again without adding
anything, and :func:`parse_infotext` gives what a paste means, defaults of absent keys included.

Reading never raises and takes time proportional to the length of the text, whatever it holds.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from modules.domain.infotext_defaults import InfotextValue, StyleExtractor, complete_parameters

__all__ = [
    "Infotext",
    "InfotextValue",
    "format_infotext",
    "parse_infotext",
    "quote_value",
    "split_infotext",
    "with_parameters",
]

NEGATIVE_PREFIX = "Negative prompt:"
MIN_PAIRS = 3  # a last line with fewer "Key: value" pairs belongs to the prompt

_KEY_END = re.compile(r"[\w \-/]:")
_KEY_RUN = re.compile(r"[\w \-/]*")  # matched on the reversed text: the key in front of a colon
_KEY_MARGIN = " -/"  # a key begins with a word character
_SPACES = re.compile(r"\s*")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])+"')
_SIZE = re.compile(r"(\d+)x(\d+)")


@dataclass(frozen=True)
class Infotext:
    """A text taken apart: nothing added, nothing interpreted.

    Attributes:
        parameters: the pairs of the last line with their quotes removed; a key that occurs twice has
            its last value.
    """

    prompt: str
    negative_prompt: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    def format(self) -> str:
        """The text again; the same text when it was written by :func:`format_infotext`."""
        return format_infotext(self.prompt, self.negative_prompt, self.parameters)


def quote_value(value: object) -> str:
    """A value as it stands in the parameter line: quoted as JSON if it would break the line.

    Values that begin or end with a blank are quoted too; the reader would strip it.
    """
    text = str(value)
    is_plain = text == text.strip() and not any(mark in text for mark in ",\n:")
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def format_infotext(prompt: str, negative: str, parameters: Mapping[str, object]) -> str:
    """Write generation parameters.

    Args:
        prompt: the prompt of this picture, styles applied.
        negative: the negative prompt; the line is left out when it is empty.
        parameters: values in the order in which they are to appear. None is skipped; numbers and
            booleans print as Python does (``7.0``, ``True``); a value equal to its key prints once.
    """
    pairs = (
        key if key == value else f"{key}: {quote_value(value)}"
        for key, value in parameters.items()
        if value is not None
    )
    negative_line = f"\n{NEGATIVE_PREFIX} {negative}" if negative else ""
    return f"{prompt}{negative_line}\n{', '.join(pairs)}".strip()


def with_parameters(text: str, parameters: Mapping[str, object]) -> str:
    """The text with further parameters behind its own, in front of the version."""
    lines, newline, last = text.rpartition("\n")
    own, mark, version = last.rpartition(", Version: ")
    if not mark:
        own, version = last, ""
    added = "".join(f", {key}: {quote_value(value)}" for key, value in parameters.items())
    return f"{lines}{newline}{own}{added}{mark}{version}"


def split_infotext(text: str) -> Infotext:
    """Take a text apart into prompt, negative prompt and the pairs of its last line."""
    *lines, last = text.strip().split("\n")
    pairs = _pairs(last)
    if len(pairs) < MIN_PAIRS:
        lines.append(last)
        pairs = []
    prompt: list[str] = []
    negative: list[str] = []
    target = prompt
    for line in lines:
        line = line.strip()
        if line.startswith(NEGATIVE_PREFIX):
            target = negative
            line = line.removeprefix(NEGATIVE_PREFIX).strip()
        if target or line:  # empty lines in front are dropped
            target.append(line)
    parameters = {key: _unquoted(value) for key, value in pairs if value}
    return Infotext("\n".join(prompt), "\n".join(negative), parameters)


def parse_infotext(
    text: str,
    *,
    styles: StyleExtractor | None = None,
    style_mode: str = "Apply if any",
    backcompat: bool = True,
    skip: tuple[str, ...] = (),
) -> dict[str, InfotextValue]:
    """Read generation parameters as a paste understands them.

    Sizes become two entries (``Size-1``, ``Size-2``), ``Prompt`` and ``Negative prompt`` are entries,
    and keys whose absence has a meaning get it (no ``Clip skip`` means 1).

    Args:
        text: a picture's ``parameters``, or any text at all.
        styles: finds styles in a pair of prompts and takes them out; None leaves the prompts alone.
        style_mode: the setting ``infotext_styles``: "Ignore", "Apply", "Discard" or "Apply if any".
        backcompat: switch on the old behaviour that the text's ``Version`` implies.
        skip: keys to leave out of the result.
    """
    document = split_infotext(text)
    parameters: dict[str, InfotextValue] = {}
    for key, value in document.parameters.items():
        size = _SIZE.fullmatch(value)
        if size is None:
            parameters[key] = value
        else:
            parameters[f"{key}-1"], parameters[f"{key}-2"] = size.groups()
    complete_parameters(
        parameters,
        document.prompt,
        document.negative_prompt,
        styles=None if style_mode == "Ignore" else styles,
        style_mode=style_mode,
        backcompat=backcompat,
    )
    return {key: value for key, value in parameters.items() if key not in skip}


def _pairs(line: str) -> list[tuple[str, str]]:
    """``Key: value`` pairs of one line, quotes still on. One pass; each key is found from its colon."""
    found: list[tuple[str, str]] = []
    backwards = line[::-1]
    position, end = 0, len(line)
    while (mark := _KEY_END.search(line, position)) is not None:
        colon = mark.end() - 1
        run = _KEY_RUN.match(backwards, end - colon, end - position)
        key = run.group()[::-1].lstrip(_KEY_MARGIN) if run is not None else ""
        position = colon + 1
        if len(key) < 2:
            continue
        start = _end_of(_SPACES, line, position)
        stop = _value_end(line, start)
        found.append((key, line[start:stop]))
        position = stop + 1  # past the comma
    return found


def _value_end(line: str, start: int) -> int:
    quoted = _QUOTED.match(line, start)
    if quoted is not None and (quoted.end() == len(line) or line[quoted.end()] == ","):
        return quoted.end()
    comma = line.find(",", start)
    return len(line) if comma < 0 else comma


def _end_of(pattern: re.Pattern[str], line: str, start: int) -> int:
    match = pattern.match(line, start)
    return start if match is None else match.end()


def _unquoted(value: str) -> str:
    if not (value.startswith('"') and value.endswith('"')):
        return value
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return decoded if isinstance(decoded, str) else value
