"""Training as a job of the queue: one update at a time, between the pictures of everybody."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from modules.domain.job import JobKind, JobState
from modules.exceptions import NotFoundError, TrainingError
from modules.generation.failures import failed
from modules.jobs.control import Control
from modules.jobs.queue import Job, Outcome
from modules.jobs.service import JobService
from modules.training.finetuning.curve import read_losses
from modules.training.finetuning.opening import TrainingRoom
from modules.training.finetuning.recipe import FineTuneRecipe
from modules.training.finetuning.session import FineTuning, Progress

__all__ = ["TrainingJobs", "TrainingRun", "TrainingTask"]

log = logging.getLogger(__name__)

BOOK_EVERY = 5.0  # seconds of the device that are booked on the job at a time
CURVE_EVERY = 10.0  # seconds between two drawings of the loss curve
_STATE = "state.pt"
_FOR_GOING_ON = ("state*.pt", "latents.pt", "class-latents.pt")  # of no use once a run is done
_LOOKED_AT = 200  # of an owner's latest trainings, for those that can go on


class TrainingTask(BaseModel):
    """What a job has to train.

    Attributes:
        recipe: the whole run.
        begun_by: the job that began it; the folder of a run has its name.
    """

    recipe: FineTuneRecipe
    begun_by: str


@dataclass
class TrainingJobs:
    """All training on one server.

    Args:
        room: opens runs.
        jobs: the queue.
        folder: where each run has its own folder.
        make_room: frees the device's memory before a model is loaded for training.
        on_result: told that there is a new file of a model.
    """

    room: TrainingRoom
    jobs: JobService
    folder: Path
    make_room: Callable[[], None] = lambda: None
    on_result: Callable[[], None] = lambda: None
    _at_work: "TrainingRun | None" = field(init=False, default=None)

    def submit(self, recipe: FineTuneRecipe, owner: str) -> str:
        """Queue a run; returns the job's id.

        Raises:
            NotFoundError, TrainingError: it cannot be done; see :meth:`TrainingRoom.check`.
            QueueFullError: too many jobs are waiting.
        """
        self.room.check(recipe, memory=False)
        return self.jobs.submit_training(self.room.with_checkpoint(recipe).model_dump_json(), owner)

    def go_on(self, job_id: str, owner: str) -> str:
        """Queue the rest of a run that was stopped or has failed; returns the new job's id.

        Raises:
            NotFoundError, TrainingError: it cannot go on; see also :meth:`TrainingRoom.check`.
            QueueFullError: too many jobs are waiting.
        """
        if not self.can_go_on(job_id):
            raise TrainingError("This training cannot go on: it is done, goes on already, or left no state.")
        task = self._task(job_id)
        self.room.check(task.recipe, is_new=False, memory=False)
        return self.jobs.submit_training(task.model_dump_json(), owner)

    def can_go_on(self, job_id: str) -> bool:
        """Whether a run ended before its last step, left its state, and no job goes on with it.

        Raises:
            NotFoundError: it is no training job.
        """
        folder = self.folder_of(job_id)
        if not (folder / _STATE).is_file() or not self.jobs.view(job_id).state.is_final:
            return False
        return folder not in self._folders(view.id for view in self.jobs.active())

    def stopped(self, owner: str) -> list[str]:
        """The owner's latest jobs whose runs can go on, newest first, one of each run."""
        jobs = [view.id for view in self.jobs.recent(owner, _LOOKED_AT, JobKind.TRAIN)]
        return [job_id for job_id in self._folders(jobs).values() if self.can_go_on(job_id)]

    def forget(self, job_id: str) -> None:
        """Remove what a run that is over has left beside its result.

        Raises:
            NotFoundError: it is no training job.
            TrainingError: it is not over.
        """
        folder = self.folder_of(job_id)
        if folder in self._folders(view.id for view in self.jobs.active()):
            raise TrainingError("This training is not over; cancel it first.")
        shutil.rmtree(folder, ignore_errors=True)

    def _folders(self, job_ids: Iterable[str]) -> dict[Path, str]:
        """The first of the jobs for each folder; jobs that train nothing are left out."""
        found: dict[Path, str] = {}
        for job_id in job_ids:
            with suppress(NotFoundError):
                found.setdefault(self.folder_of(job_id), job_id)
        return found

    def recipe(self, job_id: str) -> FineTuneRecipe:
        """The recipe of a training job.

        Raises:
            NotFoundError: it is no training job.
        """
        return self._task(job_id).recipe

    def _task(self, job_id: str) -> TrainingTask:
        payload = self.jobs.payload(job_id)
        try:
            if "begun_by" in json.loads(payload):
                return TrainingTask.model_validate_json(payload)
            return TrainingTask(recipe=FineTuneRecipe.model_validate_json(payload), begun_by=job_id)
        except ValueError as error:
            raise NotFoundError("job_id", "this job trains nothing") from error

    def folder_of(self, job_id: str) -> Path:
        """Where a run keeps its samples, its loss curve and, until it is done, its state."""
        task = self._task(job_id)
        return self.folder / f"{task.recipe.name}-{task.begun_by[:8]}"

    def losses(self, job_id: str) -> list[float]:
        """The loss of every update so far; those of a run that has ended are read from its folder."""
        at_work = self._at_work
        if at_work is not None and at_work.job_id == job_id and not at_work.ended:
            return at_work.losses()
        path = self.folder_of(job_id) / "loss.csv"
        return read_losses(path) if path.is_file() else []

    def run(self, job: Job) -> "TrainingRun":
        """A run for the engine's thread."""
        return TrainingRun(job, self)

    def may_train(self, run: "TrainingRun") -> bool:
        """Whether it is the run's turn: one model is trained at a time."""
        if self._at_work is None or self._at_work.ended:
            self._at_work = run
        return self._at_work is run


class TrainingRun:
    """One training job. See :class:`~modules.generation.runner.Run`."""

    occupies = False  # its owner may make pictures meanwhile

    def __init__(self, job: Job, office: TrainingJobs) -> None:
        self.job_id = job.id
        self.owner = job.owner
        self.is_suspect = job.crashes > 0
        self.ended = False
        self._office, self._jobs = office, office.jobs
        self._run: FineTuning | None = None
        self._updates: Generator[Progress, None, None] | None = None
        self._control = Control()
        self._paused_at = -1
        self._told = ""
        self._speed: tuple[float, int] | None = None  # when and at which step measuring began
        self._unbooked = 0.0
        self._drawn_at = time.monotonic()

    @property
    def is_paused(self) -> bool:
        """Whether its owner holds it back."""
        return self._control.pause

    def advance(self) -> None:
        """Nothing is done before the first turn."""

    def steer(self) -> bool:
        """Obey the owner, else do one update; whether anything was done."""
        self._control = self._jobs.wants(self.job_id)
        try:
            if self._control.cancel or self._control.interrupt:
                self._stop(keep=not self._control.cancel)
                return True
            if self._control.pause:
                self._hold_still()
                return False
            if not self._office.may_train(self):
                self._tell("Waiting for another training")
                return False
            self._work()
        except Exception as error:  # the boundary: what stops a training ends this job only
            log.warning("training %s failed: %s", self.job_id, error, exc_info=error)
            self._end(failed(error, self._notes()))
        return True

    def abandon(self) -> None:
        """Keep the state; the next start of the server goes on with it."""
        if self._run is not None and self._run.trainer.step:
            with suppress(OSError):
                self._run.trainer.save()
        self._let_go()

    def losses(self) -> list[float]:
        """The loss of every update so far; may be asked for by any thread."""
        run = self._run
        return [] if run is None else list(run.trainer.losses)

    # --- inside ------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Open the run at first; then one update each time."""
        self._jobs.hold((self.job_id,))
        begun = time.monotonic()
        if self._updates is None:
            self._jobs.report(self.job_id, text="Loading the model")
            self._office.make_room()
            recipe = self._office.recipe(self.job_id)
            self._run = self._office.room.open(recipe, self._office.folder_of(self.job_id))
            self._updates = self._run.updates()
        progress = next(self._updates, None)
        self._book(time.monotonic() - begun)
        if progress is None:
            self._finish()
        else:
            self._report(progress)

    def _report(self, progress: Progress) -> None:
        if progress.text:
            self._jobs.report(self.job_id, text=progress.text, step=progress.step, steps=progress.steps)
            return
        now = time.monotonic()
        if self.is_suspect:
            self.is_suspect = False
            self._jobs.forgive(self.job_id)
        if self._speed is None:
            self._speed = (now, progress.step)
        since, first = self._speed
        done = progress.step - first
        eta = (now - since) / done * (progress.steps - progress.step) if done else None
        self._jobs.report(
            self.job_id,
            text="Training",
            progress=progress.step / progress.steps,
            step=progress.step,
            steps=progress.steps,
            eta_seconds=eta,
        )
        if progress.sample is not None:
            self._jobs.report(self.job_id, preview=progress.sample.read_bytes())
        if now - self._drawn_at >= CURVE_EVERY and self._run is not None:
            self._drawn_at = now
            self._run.draw_curve()

    def _tell(self, text: str) -> None:
        """Say what is being done, once."""
        if self._told != text:
            self._told = text
            self._jobs.report(self.job_id, text=text)

    def _hold_still(self) -> None:
        """Keep the state once, so that nothing is lost while the run is held."""
        if self._run is not None and self._paused_at != self._run.trainer.step:
            self._paused_at = self._run.trainer.step
            self._run.trainer.save()
        self._speed = None

    def _stop(self, *, keep: bool) -> None:
        """End as the owner wants: with what was learnt so far, from which it can go on, or with nothing.

        A run that was to go on and has not got to it yet keeps the state that it would have begun with.
        """
        if keep and self._run is not None and self._run.trainer.step:
            self._run.finish()
            self._finish()
            return
        folder = self._office.folder_of(self.job_id)
        self._end(Outcome(JobState.CANCELLED))
        if not (keep and (folder / _STATE).is_file()):
            shutil.rmtree(folder, ignore_errors=True)

    def _finish(self) -> None:
        run = self._run
        if run is None:
            return
        info = {
            "result": run.result.name,
            "steps": run.trainer.step,
            "tag": _tag(run),
            "is_checkpoint": run.recipe.makes_checkpoint,
        }
        is_whole = run.trainer.step >= run.recipe.optimisation.steps
        self._end(Outcome(JobState.DONE, comments=run.notes, info=json.dumps(info)))
        for pattern in _FOR_GOING_ON if is_whole else ():
            for path in run.folder.glob(pattern):
                path.unlink(missing_ok=True)
        self._office.on_result()

    def _notes(self) -> tuple[str, ...]:
        return () if self._run is None else self._run.notes

    def _end(self, outcome: Outcome) -> None:
        self._let_go()
        self._jobs.finish(self.job_id, outcome, self._unbooked)

    def _let_go(self) -> None:
        self.ended = True
        if self._updates is not None:
            self._updates.close()
        self._run = self._updates = None

    def _book(self, seconds: float) -> None:
        self._unbooked += seconds
        if self._unbooked >= BOOK_EVERY:
            self._jobs.charge(self.job_id, self._unbooked)
            self._unbooked = 0.0


def _tag(run: FineTuning) -> str:
    """What a prompt says to use the result."""
    recipe = run.recipe
    if recipe.makes_lora:
        return f"<lora:{recipe.name}:1> {recipe.word}".strip()
    return f"<hypernet:{recipe.name}:1>" if recipe.kind == "hypernetwork" else recipe.word
