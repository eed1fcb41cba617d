"""A bound that quadratic parsers miss by orders of magnitude."""

import time
from collections.abc import Callable

LENGTH = 100_000
LIMIT = 1.0  # seconds of processor time; the parsers need about a tenth


def assert_linear(parse: Callable[[str], object], unit: str) -> None:
    """Parse a unit repeated to 100,000 characters within a second, at the best of three tries.

    A busy machine or a collection of garbage in the middle slows one try, a quadratic parser all of them.
    """
    text = (unit * (LENGTH // len(unit) + 1))[:LENGTH]
    assert any(_seconds(parse, text) < LIMIT for _ in range(3))


def _seconds(parse: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    parse(text)
    return time.process_time() - start
