"""Counts of what was answered, kept by the guard and shown to administrators."""

import threading
from collections import Counter

__all__ = ["Traffic"]


class Traffic:
    """Answered requests by status, the seconds they took, and refused logins. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[int] = Counter()
        self._seconds = 0.0

    def answered(self, status: int, seconds: float) -> None:
        """The first byte of an answer went out."""
        with self._lock:
            self._answers[status] += 1
            self._seconds += seconds

    def counts(self) -> tuple[dict[int, int], float]:
        """Number of answers by status, and seconds until their first bytes, summed."""
        with self._lock:
            return dict(self._answers), self._seconds
