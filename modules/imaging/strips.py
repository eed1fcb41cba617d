"""Work that the processor's cores share: the rows of a picture strip by strip, or a task beside another."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

__all__ = ["helpers", "in_strips"]

Result = TypeVar("Result")


def in_strips(height: int, rows: int, work: Callable[[int, int], Result]) -> list[Result]:
    """Do the work of each strip, side by side where the work lets other threads go on, as numpy's and zlib's.

    The caller's thread takes strips itself until none is left, so that it never waits for a helper that
    somebody else keeps busy.

    Args:
        height: of the picture in rows.
        rows: of a strip; the last one may have fewer.
        work: is given a strip's first row and the one behind its last.

    Returns:
        What the work returned, from the first strip to the last.
    """
    starts = range(0, height, rows)
    untaken, results = iter(starts), dict[int, Result]()

    def take() -> None:
        for start in untaken:
            results[start] = work(start, min(height, start + rows))

    helping = [helpers().submit(take) for _ in range(min(len(starts), _cores()) - 1)]
    take()
    for each in helping:
        if not each.cancel():
            each.result()
    return [results[start] for start in starts]


def _cores() -> int:
    return os.cpu_count() or 1


@cache
def helpers() -> ThreadPoolExecutor:
    """Threads for what takes some milliseconds and lets other threads go on; one for each further core."""
    return ThreadPoolExecutor(max(1, _cores() - 1), "strips")
