"""One generation job on the engine: starts its images, listens to them, has saved what they make."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from modules.domain.job import JobState
from modules.exceptions import WebuiError
from modules.generation.effects import FinishedImage, PassDone, StepEnd
from modules.generation.engine import Engine, ImageTask
from modules.generation.failures import failed
from modules.generation.preview import Preview, PreviewMethod, preview_file
from modules.generation.preview_pace import PreviewPace
from modules.generation.step_store import StepStore
from modules.generation.work import Work, WorkImage
from modules.jobs.control import Control
from modules.jobs.queue import Job, Outcome
from modules.jobs.service import JobService

__all__ = ["JobRun", "RunKit"]

log = logging.getLogger(__name__)

BOOK_EVERY = 5.0  # seconds of the device that are booked on the job at a time
STORE_EVERY = 2.0  # seconds between stored step states: what a crash can cost


@dataclass(frozen=True)
class RunKit:
    """What every job run uses."""

    jobs: JobService
    engine: Engine
    steps: StepStore
    draw: Callable[[StepEnd, PreviewMethod], Preview | None]


@dataclass
class _Progress:
    """Place of one running image."""

    work: WorkImage
    steps_done: int = 0
    latest: StepEnd | None = None


class JobRun:
    """Works off a job's pictures batch by batch; the engine calls back as their listener."""

    occupies = True

    def __init__(self, job: Job, work: Work, kit: RunKit) -> None:
        self.job_id = job.id
        self.owner = job.owner
        self.is_suspect = job.crashes > 0
        self.ended = False
        self._work = work
        self._kit = kit
        self._running: dict[ImageTask, _Progress] = {}
        self._batch: dict[int, WorkImage] = {}
        self._advancing = False
        self._started = time.monotonic()
        self._last_stored = self._started
        settings = work.plan.settings
        self._pace = PreviewPace(
            settings.show_progress_every_n_steps, settings.live_preview_refresh_period / 1000
        )
        self._control = Control()
        self._steps_done = 0
        self._fraction = 0.0
        self._comments = list(work.comments)
        self._unbooked = 0.0
        self._has_unshown = False

    @property
    def tasks(self) -> tuple[ImageTask, ...]:
        """Images in the engine."""
        return tuple(self._running)

    @property
    def is_paused(self) -> bool:
        """Whether its owner holds it back."""
        return self._control.pause

    def advance(self) -> None:
        """Start the next batch when the last one is through; end the job when none is left."""
        if self._advancing:  # an image that ends at once calls back from within
            return
        self._advancing = True
        try:
            while not self._running and not self.ended:
                self._start_batch()
        finally:
            self._advancing = False

    def steer(self) -> bool:
        """Do what the owner wants of the job: pause, cancel. The rest happens at step ends, in the engine."""
        self._control = self._kit.jobs.wants(self.job_id)
        for task in self._running:
            task.paused = self._control.pause
        if self._control.cancel:
            self._finish(JobState.CANCELLED)
        elif self._control.interrupt and self._control.pause:
            self._finish(JobState.DONE)
        return False

    def abandon(self) -> None:
        """Take the images out of the engine without ending the job (server shutdown)."""
        self._stop_tasks()
        self.ended = True

    # --- what the engine tells -------------------------------------------------------------------

    def started(self, task: ImageTask) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        self._running[task] = _Progress(self._batch[task.index])

    def step_ended(self, task: ImageTask, step: StepEnd) -> bool:
        """See :class:`~modules.generation.engine.ImageListener`."""
        progress = self._running[task]
        plan = progress.work.plan
        before_hires = plan.first.steps if step.stage == "hires" else 0
        progress.steps_done = max(progress.steps_done, min(before_hires + step.step, plan.steps_total))
        progress.latest = step
        self._control = self._kit.jobs.wants(self.job_id)
        self._store(task, step)
        self._report(step)
        return self._control.interrupt or self._control.skip

    def wants_end(self) -> bool:
        """See :class:`~modules.generation.engine.ImageListener`."""
        self._control = self._kit.jobs.wants(self.job_id)
        return self._control.interrupt or self._control.skip

    def pass_ended(self, task: ImageTask, done: PassDone) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        if done.stage == "first" and self._running[task].work.plan.hires is not None:
            self._kit.steps.save_pass(self.job_id, task.index, done)

    def finished(self, task: ImageTask, image: FinishedImage) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        work = self._running.pop(task).work
        self._steps_done += work.plan.steps_total
        self._add_comments(image.facts.comments)
        try:
            saved = self._work.save(work, image)
            self._kit.jobs.archive_images(self.job_id, *saved.hidden)
            if saved.shown:
                # after the last one of a batch comes the next batch or the end, and shows it
                self._has_unshown = not self._running
                self._kit.jobs.add_images(self.job_id, *saved.shown, show=not self._has_unshown)
            self.is_suspect = False
        except Exception as error:  # noqa: BLE001 - the boundary: what cannot be saved ends this job only
            self._fail(error)
            return
        self._go_on()

    def failed(self, task: ImageTask, error: Exception) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        work = self._running.pop(task).work
        if self._work.tolerates(work, error):
            self._go_on()
        else:
            self._fail(error)

    def used_device(self, seconds: float) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        self._unbooked += seconds
        if self._unbooked >= BOOK_EVERY:
            self._book()

    # --- inside ----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """After an image: start the next batch when it was the last of this one."""
        counts = self._work.counts()
        if counts is not None:
            self._kit.jobs.report(self.job_id, images_done=counts[0], images_total=counts[1])
        if self._running:
            return
        if self._control.skip:
            self._kit.jobs.acknowledge_skip(self.job_id)
        self.advance()

    def _start_batch(self) -> None:
        """Put the next images into the engine, or end the job."""
        try:
            batch = self._work.next_batch(interrupted=self._control.interrupt)
        except Exception as error:  # noqa: BLE001 - the boundary: a script's mistake ends its job only
            self._fail(error)
            return
        self._add_comments(self._work.comments)
        if not batch:
            self._finish(JobState.DONE)
        elif self._has_unshown:
            self._show()
        self._batch = {work.key: work for work in batch}
        for work in batch:
            memory = self._kit.steps.recall(self.job_id, work.key)
            self._kit.engine.start(work.story(work.image, memory), self, work.key)
            if self.ended:
                return
        if self._running and self._has_unshown:  # some ended at once, others did not
            self._show()

    def _store(self, task: ImageTask, step: StepEnd) -> None:
        now = time.monotonic()
        if now - self._last_stored >= STORE_EVERY:
            self._last_stored = now
            self._kit.steps.save_step(self.job_id, task.index, step)

    def _report(self, step: StepEnd) -> None:
        done, total = self._steps()
        self._fraction = fraction = max(self._fraction, min(1.0, done / total))
        elapsed = time.monotonic() - self._started
        eta = elapsed / fraction - elapsed if fraction > 0 else None
        jobs = self._kit.jobs
        preview = self._preview(step)
        if preview is None:
            jobs.report(
                self.job_id, progress=fraction, step=step.step, steps=step.steps, eta_seconds=eta, text=""
            )
        else:
            jobs.report(
                self.job_id,
                progress=fraction,
                step=step.step,
                steps=step.steps,
                eta_seconds=eta,
                text="",
                preview=preview,
            )

    def _preview(self, step: StepEnd) -> bytes | None:
        now, settings = time.monotonic(), self._work.plan.settings
        if not settings.live_previews_enable or not self._pace.is_due(now, step.step):
            return None
        if not self._kit.jobs.is_watched(self.job_id):
            return None
        latest = [progress.latest for progress in self._running.values() if progress.latest is not None]
        if not settings.show_progress_grid:
            latest = latest[:1]
        drawn = [self._kit.draw(each, settings.show_progress_type) for each in latest]
        previews = [preview for preview in drawn if preview is not None]
        if not previews:
            return None
        self._add_comments(preview.comment for preview in previews if preview.comment)
        file = preview_file([preview.picture for preview in previews], settings.live_previews_image_format)
        done, total = self._steps()
        whole = (now - self._started) * total / max(1, done)  # seconds, estimated
        self._pace.drawn(now, step.step, cost=time.monotonic() - now, whole=whole)
        return file

    def _steps(self) -> tuple[int, int]:
        """Sampling steps done, and those of the whole job as far as it is known."""
        running = sum(progress.steps_done for progress in self._running.values())
        return self._steps_done + running, max(1, self._steps_done + self._work.steps_left())

    def _add_comments(self, comments: Iterable[str]) -> None:
        self._comments += [comment for comment in comments if comment not in self._comments]

    def _finish(self, state: Literal[JobState.DONE, JobState.CANCELLED]) -> None:
        if self.ended:
            return
        self._stop_tasks()
        jobs = self._kit.jobs
        try:
            ending = self._work.close(jobs.finished_images(self.job_id))
            if ending.images:
                jobs.add_images(self.job_id, *ending.images, show=False)
        except Exception as error:  # noqa: BLE001 - the boundary, as above
            self._fail(error)
            return
        self._add_comments(self._work.comments)
        self._end(Outcome(state, comments=tuple(self._comments), info=ending.info))

    def _fail(self, error: Exception) -> None:
        if self.ended:
            return
        self._stop_tasks()
        log.warning("job %s failed: %s", self.job_id, error, exc_info=not isinstance(error, WebuiError))
        self._end(failed(error, self._comments))

    def _end(self, outcome: Outcome) -> None:
        self.ended = True
        self._kit.jobs.finish(self.job_id, outcome, self._unbooked)
        self._kit.steps.forget(self.job_id)

    def _book(self) -> None:
        self._kit.jobs.charge(self.job_id, self._unbooked)
        self._unbooked = 0.0

    def _show(self) -> None:
        self._kit.jobs.show_images(self.job_id, self._unbooked)
        self._unbooked, self._has_unshown = 0.0, False

    def _stop_tasks(self) -> None:
        for task in tuple(self._running):
            task.stop()
        self._running.clear()
