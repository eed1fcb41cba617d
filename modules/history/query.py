"""The language of the search box: words, "phrases", ``key:value``, ``cfg>6``, ``-without``.

One pass over the text, time proportional to its length, and no text is wrong: what is no condition is a
word to look for. :mod:`modules.history.search` turns the result into SQL.
"""

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Literal

__all__ = ["MAX_TERMS", "Flag", "Match", "Number", "Period", "Query", "Term", "Words", "parse_query"]

MAX_TERMS = 60  # conditions of one search; SQLite takes more, a person does not type them
MAX_LENGTH = 4000  # characters that are read

Comparison = Literal["=", "<", "<=", ">", ">="]

# keys as they may be typed -> what they mean; A1111's words and their short forms
_TEXT_KEYS = {
    "prompt": "prompt", "negative": "negative", "neg": "negative", "model": "model", "checkpoint": "model",
    "sampler": "sampler", "scheduler": "scheduler", "schedule": "scheduler", "lora": "lora", "tag": "tag",
    "file": "file", "name": "file", "seed": "seed", "kind": "kind", "size": "size",
}  # fmt: skip
_NUMBER_KEYS = {
    "cfg": "cfg_scale", "steps": "steps", "width": "width", "height": "height",
    "denoising": "denoising_strength", "strength": "denoising_strength",
}  # fmt: skip
_DATE_KEYS = ("date", "before", "after")
_TERM = re.compile(r'(-)?(?:([^\W\d_]+)(:|>=|<=|=|>|<))?(?:"([^"]*)"?|(\S+))')
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")


class Flag(StrEnum):
    """What a picture can be."""

    STARRED = "starred"
    TAGGED = "tagged"
    DERIVED = "derived"  # made from another picture of the history


_FLAGS = {"starred": Flag.STARRED, "star": Flag.STARRED, "favorite": Flag.STARRED, "favourite": Flag.STARRED,
          "tagged": Flag.TAGGED, "derived": Flag.DERIVED}  # fmt: skip


@dataclass(frozen=True)
class Words:
    """Full text: all words, or one phrase; ``column`` is "" for everything but the negative prompt."""

    text: str
    is_phrase: bool = False
    column: Literal["", "prompt", "negative"] = ""


@dataclass(frozen=True)
class Match:
    """A text value; whether it has to be equal or only to contain ``value`` is the key's business."""

    key: str
    value: str


@dataclass(frozen=True)
class Number:
    """A comparison with a number."""

    key: str
    comparison: Comparison
    value: float


@dataclass(frozen=True)
class Period:
    """Made at or after ``start`` and before ``end``; seconds since 1970, None is open."""

    start: float | None
    end: float | None


@dataclass(frozen=True)
class Term:
    """One condition; with ``negated`` the pictures that do not fulfil it."""

    condition: Words | Match | Number | Period | Flag
    negated: bool = False


@dataclass(frozen=True)
class Query:
    """Conditions that all have to hold; without any, everything is found."""

    terms: tuple[Term, ...] = ()


def parse_query(text: str) -> Query:
    """Read what was typed; never raises."""
    text = text[:MAX_LENGTH].encode("utf-8", "replace").decode()  # no half surrogate pairs
    if text.strip().lower() == "star":  # alone it is the flag; among other words it is one of them
        return Query((Term(Flag.STARRED),))
    terms: list[Term] = []
    for match in _TERM.finditer(text):
        minus, key, operator, quoted, plain = match.groups()
        value = plain if quoted is None else quoted
        condition = _condition((key or "").lower(), operator or "", value)
        if condition is None:
            is_phrase = quoted is not None and not key
            words = value if is_phrase else match.group().removeprefix("-")
            condition = Words(words, is_phrase)
        if not (isinstance(condition, Words) and not any(map(str.isalnum, condition.text))):
            terms.append(Term(condition, bool(minus)))
        if len(terms) == MAX_TERMS:
            break
    return Query(tuple(terms))


def _condition(key: str, operator: str, value: str) -> Words | Match | Number | Period | Flag | None:
    """The condition that a key makes of its value; None when it makes none."""
    if not key or not value:
        return None
    if key in _NUMBER_KEYS:
        return _number(_NUMBER_KEYS[key], operator, value)
    if key in _DATE_KEYS:
        return _period(key, operator, value)
    if operator not in {":", "="}:
        return None
    if key == "is":
        return _FLAGS.get(value.lower())
    if key in {"prompt", "negative", "neg"}:
        return Words(value, is_phrase=True, column="prompt" if key == "prompt" else "negative")
    return Match(_TEXT_KEYS[key], value) if key in _TEXT_KEYS else None


def _number(key: str, operator: str, value: str) -> Number | None:
    comparisons: dict[str, Comparison] = {":": "=", "=": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
    if operator == ":":  # "cfg:>6" is what other programs teach
        found = next((sign for sign in (">=", "<=", ">", "<", "=") if value.startswith(sign)), "")
        operator, value = found or operator, value[len(found) :]
    try:
        number = float(value)
    except ValueError:
        return None
    return Number(key, comparisons[operator], number) if math.isfinite(number) else None


def _period(key: str, operator: str, value: str) -> Period | None:
    """``date:2026``, ``date:2026-11``, ``date:2026-11-01``, ``date>=...``, ``before:``, ``after:``, today."""
    days = _days(value.lower())
    if days is None:
        return None
    start, end = (_moment(day) for day in days)
    if key == "before" or operator == "<":
        return Period(None, start)
    if operator == "<=":
        return Period(None, end)
    if operator == ">":
        return Period(end, None)
    if key == "after" or operator == ">=":
        return Period(start, None)
    return Period(start, end)


def _days(value: str) -> tuple[date, date] | None:
    """First day, and the first day that is past."""
    today = datetime.now().astimezone().date()
    if value in {"today", "yesterday"}:
        first = today - timedelta(days=value == "yesterday")
        return first, first + timedelta(days=1)
    match = _DATE.fullmatch(value)
    if match is None:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    try:
        first = date(year or 0, month or 1, day or 1)
        if day is not None:
            return first, first + timedelta(days=1)
        if month is not None:
            return first, date(first.year + month // 12, month % 12 + 1, 1)
        return first, date(first.year + 1, 1, 1)
    except (ValueError, OverflowError):  # the 31st of February; the year 9999
        return None


def _moment(day: date) -> float:
    """Midnight of a day on the clock of this machine, in seconds since 1970."""
    try:
        return datetime.combine(day, time()).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):  # before the clock's beginning
        return 0.0 if day.year < 1971 else float("inf")
