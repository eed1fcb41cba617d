"""How many rows one network call takes: many, as long as that makes a row cheaper.

A small network leaves most of a large device idle, and a call of many rows costs little more than one of
few. A saturated device gains nothing from long calls; there they would only let everybody wait longer.
Which it is, is measured while working: a length that is not cheaper than half of it is given up.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

__all__ = ["RowLimit"]

_GAIN = 0.95  # a row of a long call must cost at most so much of one of half the length
_TRIALS = 3  # calls of one length that are timed; the fastest counts, the first ones warm up
_PATIENCE = 500  # calls after which all is measured anew: other programs come and go


@dataclass
class _Measured:
    """What is known of one kind of call; ``one`` is the number of rows of one image."""

    one: int
    limit: int
    is_settled: bool = False
    calls: int = 0
    times: dict[int, list[float]] = field(default_factory=dict)  # rows -> seconds a row

    def best(self, rows: int) -> float | None:
        """The fastest time of a row in calls of so many rows; None until it was tried often enough."""
        times = self.times.get(rows, [])
        return min(times) if len(times) >= _TRIALS else None

    @property
    def longest(self) -> int:
        """The longest calls within the limit that were tried often enough; one image's when none were."""
        tried = (rows for rows in self.times if rows <= self.limit and self.best(rows) is not None)
        return max(tried, default=self.one)

    @property
    def half(self) -> int:
        """Half of that, in whole images."""
        return max(self.one, self.longest // 2 // self.one * self.one)


class RowLimit:
    """The most rows worth putting into one call, for each kind of call.

    Args:
        most: limit of all limits.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kinds: dict[Hashable, _Measured] = {}

    def of(self, kind: Hashable, rows: int) -> int:
        """Most rows of the next call, where one image has ``rows`` of them."""
        known = self._kinds.setdefault(kind, _Measured(rows, max(rows, self._most)))
        on_trial = not known.is_settled and known.longest > known.one and known.best(known.half) is None
        return max(rows, known.half if on_trial else known.limit)

    def observe(self, kind: Hashable, rows: int, seconds: float) -> None:
        """A call of so many rows took so long."""
        known = self._kinds.get(kind)
        if known is None:
            return  # nobody asked
        known.calls += 1
        if known.calls >= _PATIENCE:
            self._kinds[kind] = _Measured(known.one, max(known.one, self._most))
            return
        known.times[rows] = [*known.times.get(rows, [])[-2 * _TRIALS :], seconds / rows]
        long, short = known.best(known.longest), known.best(known.half)
        if known.is_settled or known.longest == known.one or long is None or short is None:
            return
        if long < _GAIN * short:
            known.is_settled = True
        else:
            known.limit = known.half
            known.is_settled = known.limit == known.one
