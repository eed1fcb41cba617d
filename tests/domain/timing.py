"""A bound that quadratic parsers miss by orders of magnitude."""

import time
from collections.abc import Callable

LENGTH = 100_000
LIMIT = 1.0  # seconds of processor time; the parsers need about a tenth


def assert_linear(parse: Callable[[str], object], unit: str) -> None:
    """Parse a unit repeated to 100,000 characters within a second."""
    text = (unit * (LENGTH // len(unit) + 1))[:LENGTH]
    start = time.process_time()
    parse(text)
    assert time.process_time() - start < LIMIT
