"""What is known of jobs beside the queue's file, as long as they have not ended. A restart forgets it."""

import threading
import time
from dataclasses import dataclass, field, replace

from modules.jobs.control import Control

__all__ = ["WATCH_SECONDS", "JobNotes"]

WATCH_SECONDS = 5.0  # who asks for a job less often than this does not watch it


@dataclass
class _Note:
    cost: float | None
    lasting: bool
    control: Control = field(default_factory=Control)
    looked: float = float("-inf")


class JobNotes:
    """A note on each live job. Thread-safe; asking for a job without a note is no mistake."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[str, _Note] = {}

    def begin(self, job_id: str, *, cost: float | None = None, lasting: bool = True) -> None:
        """Note a job that has not ended, before anybody can end it; what is noted already stays.

        Args:
            job_id: the job.
            cost: expected device time in seconds, None where it is not known.
            lasting: whether a power cut must not take back what is shown of the job.
        """
        with self._lock:
            self._notes.setdefault(job_id, _Note(cost, lasting))

    def steer(self, job_id: str, **flags: bool) -> None:
        """Note what its owner wants now; flags that are not given stay as they are."""
        with self._lock:
            note = self._notes.get(job_id)
            if note is not None:
                note.control = replace(note.control, **flags)

    def look(self, job_id: str) -> None:
        """Note that somebody has looked at the job."""
        with self._lock:
            note = self._notes.get(job_id)
            if note is not None:
                note.looked = time.monotonic()

    def forget(self, job_id: str) -> None:
        """The job has ended; nothing is noted of it any more."""
        with self._lock:
            self._notes.pop(job_id, None)

    def control(self, job_id: str) -> Control:
        """What its owner wants."""
        return self._of(job_id).control

    def cost(self, job_id: str) -> float | None:
        """Expected device time in seconds, None where it is not known."""
        return self._of(job_id).cost

    def is_watched(self, job_id: str) -> bool:
        """Whether somebody has looked at it in the last seconds."""
        return time.monotonic() - self._of(job_id).looked < WATCH_SECONDS

    def is_lasting(self, job_id: str) -> bool:
        """Whether a power cut must not take back what is shown of the job; True without a note."""
        return self._of(job_id).lasting

    def _of(self, job_id: str) -> _Note:
        with self._lock:
            return self._notes.get(job_id) or _Note(None, lasting=True)
