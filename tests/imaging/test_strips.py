"""Work on strips is done once each and comes back in order, whoever did it."""

import threading

import pytest

from modules.imaging.strips import in_strips


@pytest.mark.parametrize(("height", "rows"), [(1, 1), (7, 3), (9, 3), (2, 100)])
def test_every_row_is_in_one_strip_and_the_strips_are_in_order(height: int, rows: int) -> None:
    strips = in_strips(height, rows, lambda start, end: list(range(start, end)))
    assert [row for strip in strips for row in strip] == list(range(height))
    assert all(len(strip) == rows for strip in strips[:-1])


def test_callers_that_come_at_once_all_get_their_own_results() -> None:
    found: dict[int, list[tuple[int, int]]] = {}

    def call(caller: int) -> None:
        found[caller] = in_strips(50, 3, lambda start, _end: (caller, start))

    callers = [threading.Thread(target=call, args=(caller,)) for caller in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == {caller: [(caller, start) for start in range(0, 50, 3)] for caller in range(6)}


def test_what_a_strip_raises_reaches_the_caller() -> None:
    def work(start: int, _end: int) -> None:
        if start == 6:
            raise ValueError("a damaged strip")

    with pytest.raises(ValueError, match="a damaged strip"):
        in_strips(20, 2, work)
    assert in_strips(4, 2, lambda start, end: end - start) == [2, 2]
