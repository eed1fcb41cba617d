"""Log records that say whose work they are about, as text or as one JSON object a line."""

import json
import logging
import time
from collections.abc import Sequence
from contextvars import ContextVar

__all__ = ["JobFilter", "JsonFormatter", "note_jobs"]

_at_work: ContextVar[tuple[str, ...]] = ContextVar("jobs_at_work", default=())


def note_jobs(job_ids: Sequence[str]) -> None:
    """From now on this thread works for these jobs; its log records name them."""
    _at_work.set(tuple(job_ids))


class JobFilter(logging.Filter):
    """Adds ``jobs`` to every record: the ids the thread works for, and the same as text in ``job_text``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Complete the record; nothing is left out."""
        jobs = _at_work.get()
        record.__dict__["jobs"] = jobs
        record.__dict__["job_text"] = "".join(f"[job {job_id[:8]}] " for job_id in jobs)
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for programs that collect logs."""

    def format(self, record: logging.LogRecord) -> str:
        """Turn a record into text without line breaks."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        content: dict[str, object] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        jobs = getattr(record, "jobs", ())
        if jobs:
            content["jobs"] = list(jobs)
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)
