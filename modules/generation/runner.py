"""The thread that works off the queue: admits jobs, turns the engine's crank, shuts down cleanly."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from modules.domain.job import JobKind
from modules.exceptions import WebuiError
from modules.generation.engine import Engine
from modules.generation.failures import failed
from modules.jobs.queue import Job
from modules.jobs.service import JobService

__all__ = ["Run", "Runner"]

log = logging.getLogger(__name__)

MAX_RUNS = 8  # jobs of different people in flight; each also holds its latents
IDLE_WAIT = 0.5  # seconds until a stop is noticed when nothing is to be done
PAUSED_WAIT = 0.05  # seconds between looks when all images hold still


class Run(Protocol):
    """A job on the device: one that makes pictures, or one that trains.

    Attributes:
        job_id, owner: of the job.
        is_suspect: whether the server died over it; it then works alone until it has got on.
        ended: whether nothing more will happen.
        occupies: whether its owner's next job waits for its end.
    """

    job_id: str
    owner: str
    is_suspect: bool
    ended: bool
    occupies: bool

    @property
    def is_paused(self) -> bool:
        """Whether its owner holds it back."""
        ...

    def advance(self) -> None:
        """Begin."""
        ...

    def steer(self) -> bool:
        """Do what the owner wants of the job, and work that is not the engine's; whether there was any."""
        ...

    def abandon(self) -> None:
        """Let go of the job without ending it (server shutdown)."""
        ...


class Runner:
    """Owns the engine's thread.

    Args:
        prepare: turns a claimed job into a run (resolves, raises WebuiError when it cannot be done).
        train: the same for training jobs.
        warm_up: run once in the engine's thread before the first job; its failure is only logged.
    """

    def __init__(
        self,
        jobs: JobService,
        engine: Engine,
        prepare: Callable[[Job], Run],
        train: Callable[[Job], Run],
        *,
        warm_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._jobs = jobs
        self._engine = engine
        self._prepare = prepare
        self._train = train
        self._warm_up = warm_up
        self._runs: list[Run] = []
        self._waiting: Run | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)

    def start(self) -> None:
        """Take up jobs of an earlier run and begin to work."""
        self._jobs.recover()
        self._thread.start()

    def stop(self, timeout: float = 30.0) -> None:
        """End after the current network call; running jobs go back to the queue with their steps kept."""
        self._stopping.set()
        self._jobs.blame_nobody()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _work(self) -> None:
        try:
            self._warm_up()
        except Exception as error:  # noqa: BLE001 - the boundary: jobs say the same to whom it concerns
            log.warning("the first model cannot be loaded: %s", error)
        while not self._stopping.is_set():
            self._admit()
            worked = [run.steer() for run in tuple(self._runs)]
            busy = self._engine.tick() or any(worked)
            self._runs = [run for run in self._runs if not run.ended]
            if not busy and self._runs:
                self._stopping.wait(PAUSED_WAIT)
        for run in (*self._runs, *([self._waiting] if self._waiting else [])):
            run.abandon()
            self._jobs.release(run.job_id)

    def _admit(self) -> None:
        """Let the next job in; one over which the server died works alone, so that the guilty is found."""
        if self._waiting is not None and not self._runs:
            self._begin(self._waiting)
            self._waiting = None
        if self._waiting is not None or any(run.is_suspect and not run.is_paused for run in self._runs):
            return
        if len(self._runs) >= MAX_RUNS:
            return
        busy = {run.owner for run in self._runs if run.occupies}
        job = self._jobs.claim(0.0 if self._runs else IDLE_WAIT, skip_owners=busy)
        if job is None:
            return
        self._jobs.hold((job.id,))
        run = self._prepared(job)
        if run is None:
            return
        if self._runs and run.is_suspect:
            self._waiting = run
        else:
            self._begin(run)

    def _begin(self, run: Run) -> None:
        self._runs.append(run)
        run.advance()

    def _prepared(self, job: Job) -> Run | None:
        try:
            self._jobs.report(job.id, text="Preparing")
            return (self._train if job.kind is JobKind.TRAIN else self._prepare)(job)
        except Exception as error:  # the boundary: a job that cannot start ends, the queue goes on
            log.warning("job %s cannot start: %s", job.id, error, exc_info=not isinstance(error, WebuiError))
            self._jobs.finish(job.id, failed(error))
            return None
