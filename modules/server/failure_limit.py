"""Slow down guessing: a few wrong credentials per address and minute, then a pause."""

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

__all__ = ["FailureLimit"]


class FailureLimit:
    """Counts failures per client address over a sliding window. Thread-safe, bounded memory.

    Of an IPv6 address the first 64 bits count: a guesser may choose the others as he likes.
    """

    def __init__(
        self,
        allowed: int = 10,
        window: float = 60.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        addresses: int = 10_000,
    ) -> None:
        self._allowed = allowed
        self._window = window
        self._clock = clock
        self._addresses = addresses
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def seconds_left(self, address: str) -> int:
        """Seconds for which the address is not heard; 0 when it may try."""
        with self._lock:
            failures = self._recent(address)
            if len(failures) < self._allowed:
                return 0
            return max(1, round(failures[0] + self._window - self._clock()))

    def failed(self, address: str) -> None:
        """Count one failure."""
        with self._lock:
            self._recent(address).append(self._clock())
            self._failures.move_to_end(_network(address))
            while len(self._failures) > self._addresses:
                self._failures.popitem(last=False)

    def forget(self) -> None:
        """Forget all failures: everybody may try again."""
        with self._lock:
            self._failures.clear()

    def _recent(self, address: str) -> deque[float]:
        failures = self._failures.setdefault(_network(address), deque(maxlen=self._allowed))
        while failures and failures[0] <= self._clock() - self._window:
            failures.popleft()
        return failures


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4 or parsed.ipv4_mapped is not None:
        return address
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
