"""The SQLite file behind the queue: schema, transactions, rows turned into frozen records."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modules.domain.job import JobKind, JobState, ResultImage
from modules.imaging.sqlite_file import SqliteFile, open_sqlite

__all__ = ["Job", "JobStore", "OwnedImage", "job_from_row", "owned_image_from_row"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    stop TEXT NOT NULL DEFAULT '',
    rank REAL NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    images_total INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    device_seconds REAL NOT NULL DEFAULT 0,
    error TEXT,
    error_kind TEXT NOT NULL DEFAULT '',
    error_field TEXT NOT NULL DEFAULT '',
    comments TEXT NOT NULL DEFAULT '[]',
    info TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, rank, sequence);
CREATE INDEX IF NOT EXISTS jobs_by_owner ON jobs (owner, sequence);
CREATE TABLE IF NOT EXISTS images (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    place INTEGER NOT NULL,
    path TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    seed TEXT NOT NULL,
    infotext TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS images_by_job ON images (job_id, place);
CREATE TABLE IF NOT EXISTS usage (owner TEXT PRIMARY KEY, seconds REAL NOT NULL);
"""
_LATER_COLUMNS = {"crashes": "INTEGER NOT NULL DEFAULT 0", "error_field": "TEXT NOT NULL DEFAULT ''"}


@dataclass(frozen=True)
class Job:
    """A job as the queue keeps it.

    Attributes:
        payload: frozen request as JSON text.
        crashes: how often the server died with this job in its hands, since it last got on.
        paused: whether its owner holds it back; ``state`` then reads PAUSED.
        images_total: number of pictures it will make, 0 when that has no meaning.
        device_seconds: device time used so far.
        error_kind: class of the error, one of ``modules.exceptions``; "" when it was none of ours.
        error_field: the request's field that is to blame, "" where none is.
    """

    id: str
    kind: JobKind
    payload: str
    owner: str
    state: JobState
    crashes: int
    paused: bool
    images_total: int
    created: float
    started: float | None
    finished: float | None
    device_seconds: float
    error: str | None
    error_kind: str
    error_field: str
    comments: tuple[str, ...]
    info: str


@dataclass(frozen=True)
class OwnedImage:
    """A finished picture with the job and the owner it belongs to."""

    image: ResultImage
    job_id: str
    owner: str


def job_from_row(row: sqlite3.Row) -> Job:
    """Turn a row of ``jobs`` into a record; a held-back job reads PAUSED."""
    state = JobState(row["state"])
    paused = bool(row["paused"]) and not state.is_final
    return Job(
        id=row["id"],
        kind=JobKind(row["kind"]),
        payload=row["payload"],
        owner=row["owner"],
        state=JobState.PAUSED if paused else state,
        crashes=row["crashes"],
        paused=paused,
        images_total=row["images_total"],
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
        device_seconds=row["device_seconds"],
        error=row["error"],
        error_kind=row["error_kind"],
        error_field=row["error_field"],
        comments=tuple(json.loads(row["comments"])),
        info=row["info"],
    )


def owned_image_from_row(row: sqlite3.Row) -> OwnedImage:
    """Turn a row of ``images`` joined with its job's owner into a record."""
    image = ResultImage(
        id=row["id"],
        path=row["path"],
        index=row["place"],
        width=row["width"],
        height=row["height"],
        seed=int(row["seed"]),  # text in the file: seeds may exceed SQLite's 64 bits
        infotext=row["infotext"],
    )
    return OwnedImage(image, row["job_id"], row["owner"])


class JobStore(SqliteFile):
    """The queue's file; what was acknowledged is kept even when the power fails."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_sqlite(path, synchronous="FULL"))
        self._connection.executescript(_SCHEMA)
        self._upgrade()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """See :meth:`SqliteFile.transaction`.

        Args:
            durable: False for what nobody was told of. It outlives the process, as always; a power cut
                may take it back unless a durable transaction follows, which keeps all before it too.
        """
        with self._lock:
            if not durable:
                self._connection.execute("PRAGMA synchronous=NORMAL")
            try:
                with super().transaction() as db:
                    yield db
            finally:
                if not durable:
                    self._connection.execute("PRAGMA synchronous=FULL")

    def _upgrade(self) -> None:
        """Add what a file of an earlier version lacks."""
        with self.transaction() as db:
            columns = {row["name"] for row in db.execute("PRAGMA table_info(jobs)")}
            for name, declaration in _LATER_COLUMNS.items():
                if name not in columns:
                    db.execute(f"ALTER TABLE jobs ADD COLUMN {name} {declaration}")
