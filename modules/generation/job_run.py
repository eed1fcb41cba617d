"""One generation job on the engine: starts its images, listens to them, saves what they make."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from modules.domain.job import JobState, ResultImage
from modules.exceptions import WebuiError
from modules.generation.effects import FinishedImage, ImageCoroutine, PassDone, StepEnd
from modules.generation.engine import Engine, ImageTask
from modules.generation.failures import error_kind, readable_error
from modules.generation.plan import GenerationPlan, ImagePlan
from modules.generation.preview import Preview, PreviewMethod, preview_file
from modules.generation.preview_pace import PreviewPace
from modules.generation.step_store import ImageMemory, StepStore
from modules.jobs.queue import Job, Outcome
from modules.jobs.service import Control, JobService

__all__ = ["ImageOutput", "JobRun", "RunKit"]

log = logging.getLogger(__name__)

BOOK_EVERY = 5.0  # seconds of the device that are booked on the job at a time
STORE_EVERY = 2.0  # seconds between stored step states: what a crash can cost


class ImageOutput(Protocol):
    """Turns finished pixels into saved pictures and the job's ``info`` text."""

    def save(self, image: ImagePlan, finished: FinishedImage) -> tuple[ResultImage, ...]:
        """Composite, write and describe one picture; masks that were asked for come behind it."""
        ...

    def close(self, images: tuple[ResultImage, ...]) -> tuple[tuple[ResultImage, ...], str]:
        """Write grids; returns them and the job's ``info`` as JSON text."""
        ...


Story = Callable[[ImagePlan, ImageMemory], ImageCoroutine]


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

    steps_done: int = 0
    latest: StepEnd | None = None


class JobRun:
    """Runs a plan's images batch by batch; the engine calls back as their listener."""

    def __init__(
        self, job: Job, plan: GenerationPlan, story: Story, output: ImageOutput, kit: RunKit
    ) -> None:
        self.job_id = job.id
        self.owner = job.owner
        self.is_suspect = job.crashes > 0
        self.plan = plan
        self.ended = False
        self._story = story
        self._output = output
        self._kit = kit
        self._running: dict[ImageTask, _Progress] = {}
        self._done = {image.index for image in kit.jobs.finished_images(job.id)}
        self._batches = self._pending_batches()
        self._started = time.monotonic()
        self._last_stored = self._started
        settings = plan.settings
        self._pace = PreviewPace(
            settings.show_progress_every_n_steps, settings.live_preview_refresh_period / 1000
        )
        self._control = Control()
        self._work_left = sum(plan.steps_total for image in plan.images if image.index not in self._done)
        self._work_done = 0
        self._work = max(1, self._work_left)
        self._comments = list(plan.comments)
        self._unbooked = 0.0

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
        while not self._running and not self.ended:
            batch = next(self._batches, None)
            if batch is None:
                self._finish(JobState.DONE)
                return
            if not all(self._start(image) for image in batch):
                return

    def steer(self) -> None:
        """Do what the owner wants of the job: pause, cancel. The rest happens at step ends."""
        self._control = self._kit.jobs.wants(self.job_id)
        for task in self._running:
            task.paused = self._control.pause
        if self._control.cancel:
            self._finish(JobState.CANCELLED)
        elif self._control.interrupt and self._control.pause:
            self._finish(JobState.DONE)

    def abandon(self) -> None:
        """Take the images out of the engine without ending the job (server shutdown)."""
        self._stop_tasks()
        self.ended = True

    # --- what the engine tells -------------------------------------------------------------------

    def started(self, task: ImageTask) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        self._running[task] = _Progress()

    def step_ended(self, task: ImageTask, step: StepEnd) -> bool:
        """See :class:`~modules.generation.engine.ImageListener`."""
        progress = self._running[task]
        before_hires = self.plan.first.steps if step.stage == "hires" else 0
        total = min(before_hires + step.step, self.plan.steps_total)
        self._work_done += max(0, total - progress.steps_done)
        progress.steps_done, progress.latest = total, step
        self._control = self._kit.jobs.wants(self.job_id)
        self._store(task, step)
        self._report(step)
        return self._control.interrupt or self._control.skip

    def pass_ended(self, task: ImageTask, done: PassDone) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        if done.stage == "first" and self.plan.hires is not None:
            self._kit.steps.save_pass(self.job_id, task.index, done)

    def finished(self, task: ImageTask, image: FinishedImage) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        progress = self._running.pop(task, _Progress())
        self._work_done += max(0, self.plan.steps_total - progress.steps_done)
        self._add_comments(image.facts.comments)
        try:
            results = self._output.save(self.plan.images[task.index], image)
            self._kit.jobs.add_images(self.job_id, *results)
            self.is_suspect = False
        except Exception as error:  # noqa: BLE001 - the boundary: what cannot be saved ends this job only
            self._fail(error)
            return
        if self._control.interrupt and not self._running:
            self._finish(JobState.DONE)
        elif not self._running:
            if self._control.skip:
                self._kit.jobs.acknowledge_skip(self.job_id)
            self.advance()

    def failed(self, task: ImageTask, error: Exception) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        self._running.pop(task, None)
        self._fail(error)

    def used_device(self, seconds: float) -> None:
        """See :class:`~modules.generation.engine.ImageListener`."""
        self._unbooked += seconds
        if self._unbooked >= BOOK_EVERY:
            self._book()

    # --- inside ----------------------------------------------------------------------------------

    def _pending_batches(self) -> Iterator[tuple[ImagePlan, ...]]:
        size = self.plan.request.batch_size
        for start in range(0, len(self.plan.images), size):
            batch = self.plan.images[start : start + size]
            yield tuple(image for image in batch if image.index not in self._done)

    def _start(self, image: ImagePlan) -> bool:
        """Put an image into the engine; False when the job has ended over it."""
        memory = self._kit.steps.recall(self.job_id, image.index)
        self._kit.engine.start(self._story(image, memory), self, image.index)
        return not self.ended

    def _store(self, task: ImageTask, step: StepEnd) -> None:
        now = time.monotonic()
        if now - self._last_stored >= STORE_EVERY:
            self._last_stored = now
            self._kit.steps.save_step(self.job_id, task.index, step)

    def _report(self, step: StepEnd) -> None:
        fraction = min(1.0, self._work_done / self._work)
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
        now, settings = time.monotonic(), self.plan.settings
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
        whole = (now - self._started) * self._work / max(1, self._work_done)  # seconds, estimated
        self._pace.drawn(now, step.step, cost=time.monotonic() - now, whole=whole)
        return file

    def _add_comments(self, comments: Iterable[str]) -> None:
        self._comments += [comment for comment in comments if comment not in self._comments]

    def _finish(self, state: Literal[JobState.DONE, JobState.CANCELLED]) -> None:
        if self.ended:
            return
        self._stop_tasks()
        jobs = self._kit.jobs
        try:
            grids, info = self._output.close(jobs.finished_images(self.job_id))
            for grid in grids:
                jobs.add_images(self.job_id, grid)
        except Exception as error:  # noqa: BLE001 - the boundary, as above
            self._fail(error)
            return
        self._end(Outcome(state, comments=tuple(self._comments), info=info))

    def _fail(self, error: Exception) -> None:
        if self.ended:
            return
        self._stop_tasks()
        log.warning("job %s failed: %s", self.job_id, error, exc_info=not isinstance(error, WebuiError))
        self._end(
            Outcome(JobState.FAILED, readable_error(error), error_kind(error), comments=tuple(self._comments))
        )

    def _end(self, outcome: Outcome) -> None:
        self.ended = True
        self._book()
        self._kit.jobs.finish(self.job_id, outcome)
        self._kit.steps.forget(self.job_id)

    def _book(self) -> None:
        self._kit.jobs.charge(self.job_id, self._unbooked)
        self._unbooked = 0.0

    def _stop_tasks(self) -> None:
        for task in tuple(self._running):
            task.stop()
        self._running.clear()
