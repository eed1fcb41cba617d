"""Typed reading of JSON that others wrote: wrong shapes become empty values, never exceptions."""

import json
from collections.abc import Mapping

from pydantic import JsonValue

__all__ = ["Record", "as_list", "as_record", "as_text", "is_deeper", "parse_json"]

Record = Mapping[str, JsonValue]


def parse_json(text: str) -> JsonValue:
    """The value of a JSON text; None when it is none."""
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def as_record(value: JsonValue | Record) -> Record:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: JsonValue) -> list[JsonValue]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: JsonValue) -> str:
    """A string or number as text; anything else, lists and null included, as ""."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def is_deeper(value: JsonValue, depth: int) -> bool:
    """Whether more than ``depth`` arrays and objects lie in each other; the outermost counts."""
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(depth):
        inner = (item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
        level = [item for item in inner if isinstance(item, list | dict)]
        if not level:
            return False
    return bool(level)
