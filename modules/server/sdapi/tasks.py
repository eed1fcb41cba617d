"""Names that clients give their jobs (``force_task_id``), so that they can ask for progress."""

import threading
from collections import OrderedDict

__all__ = ["TaskNames"]

_REMEMBERED = 1000


class TaskNames:
    """Client's task id -> job id, per owner. Thread-safe, bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[tuple[str, str], str] = OrderedDict()

    def remember(self, owner: str, task: str, job_id: str) -> None:
        """Let ``task`` stand for a job."""
        with self._lock:
            self._jobs[owner, task] = job_id
            while len(self._jobs) > _REMEMBERED:
                self._jobs.popitem(last=False)

    def names(self, owner: str) -> dict[str, str]:
        """Job id -> task id of an owner's jobs."""
        with self._lock:
            return {job_id: task for (whose, task), job_id in self._jobs.items() if whose == owner}

    def job_id(self, owner: str, task: str) -> str | None:
        """The job that a task id stands for."""
        with self._lock:
            return self._jobs.get((owner, task))
