"""How long calls get: as long as it pays."""

from collections.abc import Callable

import pytest

from modules.generation.batching import RowLimit


def lengths(cost: Callable[[int], float], waiting: int = 16, calls: int = 60) -> list[int]:
    """Rows of successive calls when ``waiting`` rows wait, two an image; n rows cost ``cost(n)``."""
    limit, taken = RowLimit(16), []
    for _ in range(calls):
        rows = min(waiting, limit.of("kind", 2)) // 2 * 2
        limit.observe("kind", rows, cost(rows))
        taken.append(rows)
    return taken


def test_where_rows_cost_next_to_nothing_calls_stay_long() -> None:
    assert lengths(lambda rows: 1.0 + 0.01 * rows)[-10:] == [16] * 10


def test_a_saturated_device_serves_one_image_at_a_time() -> None:
    assert lengths(lambda rows: 0.5 * rows)[-10:] == [2] * 10


def test_a_device_that_saturates_at_eight_rows_gets_eight() -> None:
    assert lengths(lambda rows: float(max(8, rows)))[-10:] == [8] * 10


def test_a_lone_image_is_never_split() -> None:
    limit = RowLimit(1)
    assert limit.of("kind", 3) == 3


@pytest.mark.parametrize("waiting", [2, 6])
def test_few_waiting_rows_are_all_taken_or_measured(waiting: int) -> None:
    assert set(lengths(lambda rows: 1.0, waiting)) <= {2, waiting}
    assert lengths(lambda rows: 1.0, waiting)[-1] == waiting


def test_after_a_while_it_is_measured_anew() -> None:
    limit, cost = RowLimit(8), 1.0
    for _ in range(100):
        rows = limit.of("kind", 2)
        limit.observe("kind", rows, cost * rows)
    assert limit.of("kind", 2) == 2
    for _ in range(600):
        rows = limit.of("kind", 2)
        limit.observe("kind", rows, 1.0)
    assert limit.of("kind", 2) == 8
