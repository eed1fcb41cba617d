"""Work on pictures beside the engine: one piece at a time, a few callers wait, more are sent away."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from modules.exceptions import QueueFullError

__all__ = ["Turns"]

MAX_WAITING = 8  # callers, the one whose work is done included
RETRY_AFTER = 10  # seconds


class Turns:
    """Lets callers in one after the other.

    Args:
        refusal: sentence for those for whom there is no room.
    """

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal
        self._one_at_a_time = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the turn and have it within the block.

        Raises:
            QueueFullError: too many callers wait.
        """
        if not self._waiting.acquire(blocking=False):
            raise QueueFullError(self._refusal, RETRY_AFTER)
        try:
            with self._one_at_a_time:
                yield
        finally:
            self._waiting.release()
