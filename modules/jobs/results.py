"""What the queue's file knows of finished pictures, read without taking part in the queue."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

__all__ = ["StoredResult", "stored_results"]


@dataclass(frozen=True)
class StoredResult:
    """One finished picture and the job that made it.

    Attributes:
        path: as it was when the job ended; the file may be gone.
        index: position in the job; grids have -1.
        payload: the job's frozen request as JSON text.
    """

    image_id: str
    path: str
    index: int
    owner: str
    payload: str


def stored_results(path: Path) -> Iterator[StoredResult]:
    """Yield all of them, job by job; nothing when the file is missing or damaged."""
    if not path.is_file():
        return
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as file:
            yield from (
                StoredResult(*row)
                for row in file.execute(
                    "SELECT images.id, path, place, owner, payload FROM images JOIN jobs ON jobs.id = job_id"
                )
            )
    except sqlite3.Error:
        return
