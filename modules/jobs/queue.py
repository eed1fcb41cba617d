"""The durable queue: frozen requests in SQLite, claimed fairly, surviving any crash."""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modules.domain.job import JobKind, JobState, ResultImage
from modules.exceptions import NotFoundError, QueueFullError
from modules.jobs.fairness import Waiting, claim_order, entry_charge
from modules.jobs.hands import Hands
from modules.jobs.store import Job, JobStore, OwnedImage, job_from_row, owned_image_from_row

__all__ = ["Job", "JobQueue", "Outcome", "OwnedImage", "Totals", "new_job_id"]

DEFAULT_LIMIT = 500  # jobs waiting; more than a day's work of a desktop card
_MEAN_SECONDS = (
    "SELECT avg(device_seconds) AS mean FROM (SELECT device_seconds FROM jobs "
    "WHERE state = 'done' ORDER BY sequence DESC LIMIT 20)"
)
MAX_CRASHES = 2  # a job that stopped the server twice would stop it for ever


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its last state and what its owner should know about it."""

    state: Literal[JobState.DONE, JobState.FAILED, JobState.CANCELLED]
    error: str | None = None
    error_kind: str = ""
    error_field: str = ""
    comments: tuple[str, ...] = ()
    info: str = ""


@dataclass(frozen=True)
class Totals:
    """Sums over all jobs: how many are in each state, pictures made, device seconds given."""

    by_state: dict[str, int]
    pictures: int
    device_seconds: float


def new_job_id() -> str:
    """A name that nobody guesses."""
    return secrets.token_hex(16)


class JobQueue:
    """All jobs and results of one server, in one SQLite file.

    Safe for use by several threads and processes. A job is ``queued``, ``running`` or final in
    the file; being paused is a mark beside the state, so that a job paused in the middle of a
    picture stays paused through a restart.
    """

    def __init__(
        self,
        path: Path,
        *,
        limit: int = DEFAULT_LIMIT,
        max_crashes: int = MAX_CRASHES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = JobStore(path)
        self.hands = Hands(path.with_suffix(".hands"))
        self._limit = limit
        self._max_crashes = max_crashes
        self._clock = clock

    def close(self) -> None:
        """Close the files."""
        self.hands.close()
        self._store.close()

    def submit(
        self,
        kind: JobKind,
        payload: str,
        owner: str,
        *,
        job_id: str | None = None,
        images_total: int = 0,
        durable: bool = True,
    ) -> str:
        """Append a job and return its id; it is on disk when this returns.

        Args:
            kind: what it does.
            payload: its frozen request or recipe as JSON text.
            owner: who wants it.
            job_id: from :func:`new_job_id`, for a caller who must know it before the job can be claimed.
            images_total: number of pictures it will make, 0 when that has no meaning.
            durable: whether it outlives a power cut too, and not only the process.

        Raises:
            QueueFullError: as many jobs are waiting as the queue takes; twice as many for an owner who has
                less than a fiftieth of them.
        """
        job_id = job_id or new_job_id()
        with self._store.transaction(durable=durable) as db:
            waiting, own = db.execute(
                "SELECT count(*), coalesce(sum(owner = ?), 0) FROM jobs WHERE state = 'queued'", (owner,)
            ).fetchone()
            # nobody fills the queue for those who have hardly anything in it
            if waiting >= self._limit and (own >= self._limit // 50 or waiting >= 2 * self._limit):
                raise QueueFullError(
                    f"{waiting} jobs are waiting already; try again later", self._retry_after(db)
                )
            self._book(db, owner, entry_charge(owner, _active_owners(db), _used(db)))
            db.execute(
                "INSERT INTO jobs (id, kind, payload, owner, state, images_total, created, rank) "
                "VALUES (?, ?, ?, ?, 'queued', ?, ?, (SELECT coalesce(max(rank), 0) + 1 FROM jobs))",
                (job_id, kind.value, payload, owner, images_total, self._clock()),
            )
        return job_id

    def claim(self, skip_owners: Collection[str] = ()) -> Job | None:
        """Take the next job in fair order and mark it running; None when nothing waits.

        Jobs of ``skip_owners`` are passed over, as if they were not there. A power cut may put it back.
        """
        if not self._store.rows("SELECT 1 FROM jobs WHERE state = 'queued' AND paused = 0 LIMIT 1"):
            return None  # which is seen without holding up who writes
        with self._store.transaction(durable=False) as db:
            order = _claim_order(db, skip_owners)
            if not order:
                return None
            db.execute(
                "UPDATE jobs SET state = 'running', started = coalesce(started, ?) WHERE id = ?",
                (self._clock(), order[0]),
            )
            return job_from_row(db.execute("SELECT * FROM jobs WHERE id = ?", (order[0],)).fetchone())

    def charge(self, job_id: str, seconds: float, *, durable: bool = False) -> None:
        """Book device time on a job and its owner, in seconds."""
        with self._store.transaction(durable=durable) as db:
            _charge(db, job_id, seconds)

    def finish(self, job_id: str, outcome: Outcome, seconds: float = 0.0, *, durable: bool = True) -> bool:
        """End a job for good and book the last of its device time, in seconds.

        Returns:
            False when it had ended before; it then stays as it was.
        """
        with self._store.transaction(durable=durable) as db:
            _charge(db, job_id, seconds)
            return _end(db, job_id, outcome, self._clock())

    def release(self, job_id: str) -> None:
        """Put a running job back without blame, as a clean shutdown does."""
        with self._store.transaction() as db:
            db.execute(
                "UPDATE jobs SET state = 'queued' WHERE id = ? AND state = 'running'",
                (job_id,),
            )

    def requeue_running(self) -> tuple[str, ...]:
        """After a crash: put jobs that were running back in the queue.

        Only the jobs that the engine had in its hands are suspected. A job in whose work the server
        died twice is failed; one whose owner had stopped it is ended; the others just wait again.

        Returns:
            Ids of the jobs that wait again.
        """
        again: list[str] = []
        suspects = self.hands.read()
        self.hands.hold(())
        with self._store.transaction() as db:
            for row in db.execute("SELECT * FROM jobs WHERE state = 'running'").fetchall():
                crashes = row["crashes"] + (row["id"] in suspects)
                outcome = self._outcome_of_crash(row["stop"], crashes)
                if outcome is not None:
                    _end(db, row["id"], outcome, self._clock())
                    continue
                db.execute("UPDATE jobs SET state = 'queued', crashes = ? WHERE id = ?", (crashes, row["id"]))
                again.append(row["id"])
        return tuple(again)

    def cancel_waiting(self, job_id: str) -> bool:
        """Cancel a job that is not running; returns whether it was waiting."""
        with self._store.transaction() as db:
            state = db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if state is None or state["state"] != JobState.QUEUED:
                return False
            return _end(db, job_id, Outcome(JobState.CANCELLED), self._clock())

    def ask_to_stop(self, job_id: str, how: Literal["interrupt", "cancel"]) -> bool:
        """Remember that a running job is to end, so that a crash does not bring it back."""
        with self._store.transaction() as db:
            changed = db.execute("UPDATE jobs SET stop = ? WHERE id = ? AND state = 'running'", (how, job_id))
            return changed.rowcount > 0

    def set_paused(self, job_id: str, paused: bool) -> bool:
        """Hold a job back or let it go; returns False when it has ended."""
        with self._store.transaction() as db:
            changed = db.execute(
                "UPDATE jobs SET paused = ? WHERE id = ? AND state IN ('queued', 'running')",
                (int(paused), job_id),
            )
            return changed.rowcount > 0

    def reorder(self, owner: str, job_ids: Sequence[str]) -> None:
        """Let an owner's waiting jobs swap places so that they come in the given order."""
        with self._store.transaction() as db:
            rows = db.execute(
                "SELECT id, rank FROM jobs WHERE state = 'queued' AND owner = ? ORDER BY rank", (owner,)
            ).fetchall()
            moving = [job_id for job_id in dict.fromkeys(job_ids) if job_id in {row["id"] for row in rows}]
            ranks = [row["rank"] for row in rows if row["id"] in moving]
            db.executemany("UPDATE jobs SET rank = ? WHERE id = ?", zip(ranks, moving, strict=True))

    def forgive(self, job_id: str) -> None:
        """Forget the crashes of a job that has got on since."""
        with self._store.transaction() as db:
            db.execute("UPDATE jobs SET crashes = 0 WHERE id = ? AND crashes > 0", (job_id,))

    def add_images(self, job_id: str, *images: ResultImage, durable: bool = True) -> None:
        """Record a finished picture and its masks; what was recorded before for the same place is replaced.

        A job that gets on is not to blame for earlier crashes: they are forgotten.
        """
        with self._store.transaction(durable=durable) as db:
            db.execute("UPDATE jobs SET crashes = 0 WHERE id = ? AND crashes > 0", (job_id,))
            for place in {image.index for image in images}:
                db.execute("DELETE FROM images WHERE job_id = ? AND place = ?", (job_id, place))
            db.executemany(
                "INSERT INTO images (id, job_id, place, path, width, height, seed, infotext) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        image.id,
                        job_id,
                        image.index,
                        image.path,
                        image.width,
                        image.height,
                        str(image.seed),
                        image.infotext,
                    )
                    for image in images
                ],
            )

    def job(self, job_id: str) -> Job:
        """Look a job up.

        Raises:
            NotFoundError: there is no such job.
        """
        rows = self._store.rows("SELECT * FROM jobs WHERE id = ?", job_id)
        if not rows:
            raise NotFoundError("id", "there is no such job")
        return job_from_row(rows[0])

    def images(self, job_id: str) -> tuple[ResultImage, ...]:
        """Finished pictures of a job in order of their index."""
        rows = self._store.rows(
            "SELECT images.*, owner FROM images JOIN jobs ON jobs.id = job_id "
            "WHERE job_id = ? ORDER BY place, images.rowid",
            job_id,
        )
        return tuple(owned_image_from_row(row).image for row in rows)

    def find_image(self, image_id: str) -> OwnedImage:
        """Look a picture up by its id.

        Raises:
            NotFoundError: there is no such picture.
        """
        rows = self._store.rows(
            "SELECT images.*, owner FROM images JOIN jobs ON jobs.id = job_id WHERE images.id = ?", image_id
        )
        if not rows:
            raise NotFoundError("id", "there is no such picture")
        return owned_image_from_row(rows[0])

    def pending(self) -> tuple[str, ...]:
        """Ids of the jobs that may be claimed, next one first."""
        with self._store.snapshot() as db:
            return _claim_order(db)

    def ahead_of_next(self, owner: str) -> tuple[str, ...]:
        """Ids of the waiting jobs that would come before one that the owner submitted now."""
        with self._store.snapshot() as db:
            order = _claim_order(db, joining=owner)
        return order[: order.index("")]

    def totals(self) -> Totals:
        """Sums over all jobs, for monitoring."""
        states = self._store.rows("SELECT state, count(*) AS n FROM jobs GROUP BY state")
        sums = self._store.rows(
            "SELECT (SELECT count(*) FROM images WHERE place >= 0) AS pictures, "
            "(SELECT coalesce(sum(device_seconds), 0) FROM jobs) AS seconds"
        )[0]
        by_state = {row["state"]: int(row["n"]) for row in states}
        return Totals(by_state, int(sums["pictures"]), float(sums["seconds"]))

    def mean_seconds(self) -> float | None:
        """Device time of the latest jobs on average; None before the first."""
        rows = self._store.rows(_MEAN_SECONDS)
        return None if rows[0]["mean"] is None else float(rows[0]["mean"])

    def active(self) -> tuple[Job, ...]:
        """Jobs that have not ended, paused ones included, in order of submission."""
        rows = self._store.rows("SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY sequence")
        return tuple(job_from_row(row) for row in rows)

    def recent(self, owner: str, limit: int, kind: JobKind | None = None) -> tuple[Job, ...]:
        """An owner's latest jobs, of one kind or of all, newest first."""
        rows = self._store.rows(
            "SELECT * FROM jobs WHERE owner = ? AND (? IS NULL OR kind = ?) ORDER BY sequence DESC LIMIT ?",
            owner,
            kind,
            kind,
            limit,
        )
        return tuple(job_from_row(row) for row in rows)

    def used_seconds(self, owner: str) -> float:
        """Device time an owner is booked with, in seconds."""
        rows = self._store.rows("SELECT seconds FROM usage WHERE owner = ?", owner)
        return float(rows[0]["seconds"]) if rows else 0.0

    def _outcome_of_crash(self, stop: str, crashes: int) -> Outcome | None:
        if stop == "cancel":
            return Outcome(JobState.CANCELLED)
        if stop == "interrupt":
            return Outcome(JobState.DONE)
        if crashes >= self._max_crashes:
            return Outcome(
                JobState.FAILED,
                error=f"the server stopped {crashes} times while it worked on this job; "
                "it was not tried again",
            )
        return None

    @staticmethod
    def _book(db: sqlite3.Connection, owner: str, seconds: float) -> None:
        db.execute(
            "INSERT INTO usage (owner, seconds) VALUES (?, ?) "
            "ON CONFLICT (owner) DO UPDATE SET seconds = excluded.seconds",
            (owner, seconds),
        )

    @staticmethod
    def _retry_after(db: sqlite3.Connection) -> int:
        """Seconds until a place may be free: what the latest jobs took on average."""
        mean = db.execute(_MEAN_SECONDS).fetchone()["mean"]
        return round(min(max(mean or 10.0, 1.0), 300.0))


def _end(db: sqlite3.Connection, job_id: str, outcome: Outcome, now: float) -> bool:
    changed = db.execute(
        "UPDATE jobs SET state = ?, paused = 0, finished = ?, error = ?, error_kind = ?, error_field = ?, "
        "comments = ?, info = ? "
        "WHERE id = ? AND state IN ('queued', 'running')",
        (
            outcome.state.value,
            now,
            outcome.error,
            outcome.error_kind,
            outcome.error_field,
            json.dumps(outcome.comments),
            outcome.info,
            job_id,
        ),
    )
    return changed.rowcount > 0


def _charge(db: sqlite3.Connection, job_id: str, seconds: float) -> None:
    db.execute("UPDATE jobs SET device_seconds = device_seconds + ? WHERE id = ?", (seconds, job_id))
    db.execute(
        "UPDATE usage SET seconds = seconds + ? WHERE owner = (SELECT owner FROM jobs WHERE id = ?)",
        (seconds, job_id),
    )


def _claim_order(
    db: sqlite3.Connection, skip_owners: Collection[str] = (), joining: str | None = None
) -> tuple[str, ...]:
    """Ids in the order of being claimed; "" stands for a job that ``joining`` would submit now."""
    rows = db.execute(
        "SELECT id, owner FROM jobs WHERE state = 'queued' AND paused = 0 ORDER BY rank, sequence"
    ).fetchall()
    if not rows and joining is None:
        return ()
    counts = db.execute("SELECT owner, count(*) AS n FROM jobs WHERE state = 'running' GROUP BY owner")
    running = {row["owner"]: int(row["n"]) for row in counts}
    waiting = [Waiting(row["id"], row["owner"]) for row in rows if row["owner"] not in skip_owners]
    if joining is not None:
        waiting.append(Waiting("", joining))
    return claim_order(waiting, running, _used(db))


def _used(db: sqlite3.Connection) -> dict[str, float]:
    return {row["owner"]: row["seconds"] for row in db.execute("SELECT owner, seconds FROM usage")}


def _active_owners(db: sqlite3.Connection) -> frozenset[str]:
    rows = db.execute("SELECT DISTINCT owner FROM jobs WHERE state IN ('queued', 'running')")
    return frozenset(row["owner"] for row in rows)
