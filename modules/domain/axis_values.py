"""Values of a plot's axis as users write them: a comma-separated list, with ranges for numbers.

``1-5`` counts, ``1-10 (+3)`` counts in steps of three, ``1-10 [5]`` spreads five values evenly.
"""

import csv
import io
import itertools
import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from modules.domain.plot_axes import Axis, AxisValue
from modules.exceptions import RequestError

__all__ = ["parse_values", "split_list", "write_list"]

MAX_VALUES = 10_000  # of one axis; a plot of more pixels than the settings allow is refused anyway
MAX_ENTRY = 200  # characters of one number or range
MAX_ORDERED = 7  # words whose orders are all tried: 5040 pictures

_DIGITS = r"\d{1,18}"
_INT = rf"\s*([+-]?\s*{_DIGITS})\s*"
_FLOAT = rf"\s*([+-]?\s*{_DIGITS}(?:\.\d*)?)\s*"
_COUNT = rf"\[({_DIGITS})\s*\]\s*"
_INT_STEPS = re.compile(rf"{_INT}-{_INT}(?:\(([+-]{_DIGITS})\s*\))?\s*")
_FLOAT_STEPS = re.compile(rf"{_FLOAT}-{_FLOAT}(?:\(([+-]{_DIGITS}(?:\.\d*)?)\s*\))?\s*")
_INT_COUNT = re.compile(rf"{_INT}-{_INT}{_COUNT}")
_FLOAT_COUNT = re.compile(rf"{_FLOAT}-{_FLOAT}{_COUNT}")


def split_list(text: str) -> list[str]:
    """The entries of a comma-separated list; quotes keep commas, blanks around entries go.

    Raises:
        RequestError: an entry is longer than any value can be.
    """
    rows = csv.reader(io.StringIO(text), skipinitialspace=True)
    try:
        return [entry.strip() for row in rows for entry in row]
    except csv.Error as error:
        raise RequestError("script_args", f"a list of values cannot be read: {error}") from error


def write_list(entries: Sequence[str]) -> str:
    """The text from which :func:`split_list` reads these entries."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow(entries)
    return buffer.getvalue().strip()


def parse_values(axis: Axis, written: Sequence[str]) -> tuple[AxisValue, ...]:
    """The values of an axis.

    Args:
        axis: decides how the entries are read.
        written: entries of the list, or names that were chosen.

    Raises:
        RequestError: an entry cannot be read, or there are too many values.
    """
    if axis.kind == "none":
        return (0,)
    if axis.kind == "permutations":
        if len(written) > MAX_ORDERED:
            raise _refusal(axis, f"at most {MAX_ORDERED} words can be put in every order")
        return tuple(itertools.permutations(written))
    if axis.kind == "str":
        values: tuple[AxisValue, ...] = tuple(written)
    else:
        values = tuple(itertools.islice(_numbers(axis, written), MAX_VALUES + 1))
    if len(values) > MAX_VALUES:
        raise _refusal(axis, f"more than {MAX_VALUES} values")
    if not values:
        raise _refusal(axis, "it has no values")
    return values


def _numbers(axis: Axis, written: Sequence[str]) -> Iterator[int | float]:
    for entry in filter(None, written):
        if len(entry) > MAX_ENTRY:
            raise _refusal(axis, f"{entry[:40]!r} is no number")
        yield from _whole_numbers(axis, entry) if axis.kind == "int" else _fractions(axis, entry)


def _whole_numbers(axis: Axis, entry: str) -> Iterator[int]:
    if steps := _INT_STEPS.fullmatch(entry):
        start, end = _int(steps[1]), _int(steps[2])
        step = int(steps[3] or 1)
        yield from range(start, end + 1, int(_nonzero(axis, step)))
    elif count := _INT_COUNT.fullmatch(entry):
        spread = np.linspace(_int(count[1]), _int(count[2]), _count(axis, count[3]))
        yield from (int(value) for value in spread.tolist())
    else:
        yield int(_number(axis, entry, int))


def _fractions(axis: Axis, entry: str) -> Iterator[float]:
    if steps := _FLOAT_STEPS.fullmatch(entry):
        start, end = _float(steps[1]), _float(steps[2])
        step = _nonzero(axis, float(steps[3] or 1))
        if (end + step - start) / step > MAX_VALUES:
            raise _refusal(axis, f"{entry!r} is more than {MAX_VALUES} values")
        yield from np.arange(start, end + step, step).tolist()
    elif count := _FLOAT_COUNT.fullmatch(entry):
        yield from np.linspace(_float(count[1]), _float(count[2]), _count(axis, count[3])).tolist()
    else:
        yield float(_number(axis, entry, float))


def _number(axis: Axis, entry: str, kind: type[int] | type[float]) -> int | float:
    try:
        value = kind(entry)
    except ValueError:
        raise _refusal(axis, f"{entry[:40]!r} is no {'whole ' if kind is int else ''}number") from None
    if not math.isfinite(value):
        raise _refusal(axis, f"{entry[:40]!r} is no number")
    return value


def _count(axis: Axis, digits: str) -> int:
    count = int(digits)
    if count > MAX_VALUES:
        raise _refusal(axis, f"{count} values are too many")
    return count


def _nonzero(axis: Axis, step: float) -> float:
    if step == 0:
        raise _refusal(axis, "a step of 0 leads nowhere")
    return step


def _int(text: str) -> int:
    return int(text.replace(" ", ""))


def _float(text: str) -> float:
    return float(text.replace(" ", ""))


def _refusal(axis: Axis, why: str) -> RequestError:
    return RequestError("script_args", f"X/Y/Z plot, axis {axis.label}: {why}")
