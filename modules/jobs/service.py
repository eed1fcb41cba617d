"""What pages, clients and the runner do with jobs: one object that joins queue and board."""

import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol, Unpack

from modules.domain.job import JobKind, JobState, JobView, Lasting, ResultImage
from modules.domain.request import GenerationRequest
from modules.exceptions import NotFoundError
from modules.jobs.board import JobBoard, ViewChanges
from modules.jobs.control import Control
from modules.jobs.log_context import note_jobs
from modules.jobs.notes import JobNotes
from modules.jobs.queue import Job, JobQueue, Outcome, OwnedImage, Totals, new_job_id
from modules.jobs.view import count_pictures, view_of

__all__ = ["JobService", "PictureArchive"]


class PictureArchive(Protocol):
    """Where pictures are found for good, also those of which the queue knows nothing."""

    def keeps(self, image: ResultImage) -> bool:
        """Whether the picture's file lies where pictures are kept."""
        ...

    def record(self, job: Job, images: Sequence[ResultImage]) -> None:
        """Take in what a job has finished, once it is on disk; never raises over a picture."""
        ...

    def find(self, image_id: str) -> OwnedImage | None:
        """A picture, where its file lies now; None when it is not kept here."""
        ...


class JobService:
    """Submit, watch and steer jobs; hand them to the runner and take its results.

    Every method may be called from any thread: the first half by pages and clients, the rest by the runner.

    Args:
        freeze: ends what depends on the moment of submitting: random seeds, current settings.
        archive: keeps what jobs have made; None keeps nothing beyond the queue's own file.
        wait_for: waits until the file of a picture is there, if it is still being stored.
    """

    def __init__(
        self,
        queue: JobQueue,
        board: JobBoard,
        freeze: Callable[[GenerationRequest], GenerationRequest] = lambda request: request,
        archive: PictureArchive | None = None,
        wait_for: Callable[[Path], None] = lambda _path: None,
    ) -> None:
        self._queue = queue
        self._board = board
        self._freeze = freeze
        self._archive = archive
        self._wait_for = wait_for
        self._notes = JobNotes()
        self._work = threading.Event()
        self._work.set()  # the file may hold jobs from before

    # --- for pages and clients -----------------------------------------------------------------

    def submit(
        self,
        request: GenerationRequest,
        owner: str,
        *,
        seconds: float | None = None,
        lasting: Lasting = "job",
    ) -> str:
        """Queue a generation request; returns the job's id once it is safely on disk.

        Args:
            request: what to make.
            owner: who wants it.
            seconds: expected device time; None where it is not known.
            lasting: what a power cut must not take back. A caller who is told nothing before the job has
                ended need not wait for the disk before that.

        Raises:
            QueueFullError: too many jobs are waiting.
        """
        total, steps = request.image_count, request.steps
        view = JobView(new_job_id(), owner, JobState.QUEUED, images_total=total, steps=steps)
        payload = self._freeze(request).model_dump_json()
        return self._enter(view, JobKind.GENERATE, payload, seconds=seconds, lasting=lasting)

    def payload(self, job_id: str) -> str:
        """The frozen request or recipe of a job, as JSON text.

        Raises:
            NotFoundError: there is no such job.
        """
        return self._queue.job(job_id).payload

    def submit_training(self, payload: str, owner: str) -> str:
        """Queue a training run; ``payload`` is its frozen configuration as JSON text.

        Raises:
            QueueFullError: too many jobs are waiting.
        """
        return self._enter(JobView(new_job_id(), owner, JobState.QUEUED), JobKind.TRAIN, payload)

    def view(self, job_id: str) -> JobView:
        """The newest view of a job, also of one that ended long ago.

        Raises:
            NotFoundError: there is no such job.
        """
        try:
            view = self._board.view(job_id)
        except NotFoundError:
            return self._stored_view(self._queue.job(job_id))
        self._look_at(view)
        return view

    def owned_view(self, job_id: str, owner: str) -> JobView:
        """Like :meth:`view`, but a stranger's job is answered as if it did not exist.

        Raises:
            NotFoundError: there is no such job, or it is somebody else's.
        """
        view = self.view(job_id)
        if view.owner != owner:
            raise NotFoundError("id", "there is no such job")
        return view

    def request(self, job_id: str) -> GenerationRequest:
        """The frozen request of a generation job.

        Raises:
            NotFoundError: there is no such job.
        """
        return GenerationRequest.model_validate_json(self._queue.job(job_id).payload)

    async def follow(self, job_id: str) -> AsyncIterator[JobView]:
        """Yield views of a job until it has ended; a slow reader skips views.

        Raises:
            NotFoundError: there is no such job.
        """
        try:
            async for view in self._board.follow(job_id):
                yield view
        except NotFoundError:  # it ended and has left the board
            yield self.view(job_id)

    async def ended(self, job_id: str) -> JobView:
        """The last view of a job, as soon as there is one. Who waits for this does not watch the job.

        Raises:
            NotFoundError: there is no such job.
        """
        with suppress(NotFoundError):  # it ended and has left the board
            return await self._board.ended(job_id)
        return self.view(job_id)

    def wait(self, job_id: str, timeout: float | None = None) -> JobView:
        """Block the thread until the job has ended or ``timeout`` seconds are over."""
        try:
            return self._board.wait(job_id, timeout)
        except NotFoundError:
            return self.view(job_id)

    def active(self, owner: str | None = None) -> tuple[JobView, ...]:
        """Jobs that have not ended, of one owner or of all, oldest first; those that wait with their ETA."""
        views = self._board.active(owner)
        for view in views:
            self._look_at(view)
        if all(view.state is not JobState.QUEUED for view in views):
            return views
        etas = self._etas()
        return tuple(
            replace(view, eta_seconds=etas.get(view.id)) if view.state is JobState.QUEUED else view
            for view in views
        )

    def forecast(self, owner: str) -> tuple[int, float | None]:
        """Jobs before one that the owner submitted now, and seconds until it would begin if that is known.

        Another owner's running job is not waited for: the device is shared step by step.
        """
        ahead = self._queue.ahead_of_next(owner)
        running = [view for view in self._board.active(owner) if view.state is JobState.RUNNING]
        waits = [*(view.eta_seconds for view in running), *(self._expected(job_id) for job_id in ahead)]
        known = [seconds for seconds in waits if seconds is not None]
        return len(waits), sum(known) if len(known) == len(waits) else None

    def latest(self, owner: str) -> JobView | None:
        """The owner's job that was submitted last, if it is still in memory."""
        return self._board.latest(owner)

    def recent(self, owner: str, limit: int = 50, kind: JobKind | None = None) -> tuple[JobView, ...]:
        """The owner's latest jobs from the file, of one kind or of all, newest first."""
        return tuple(self.view(job.id) for job in self._queue.recent(owner, limit, kind))

    def image(self, image_id: str, owner: str) -> OwnedImage:
        """Look an owner's picture up by its unguessable id, once its file is there.

        Raises:
            NotFoundError: there is none, or it is somebody else's.
            StorageError: its file could not be written.
        """
        kept = self._archive.find(image_id) if self._archive is not None else None
        try:
            found = self._queue.find_image(image_id)
        except NotFoundError:
            if kept is None:
                raise
            found = kept
        if found.owner != owner:
            raise NotFoundError("id", "there is no such picture")
        path = found.image.path if kept is None else kept.image.path
        self._wait_for(Path(path))
        return replace(found, image=replace(found.image, path=path))

    def totals(self) -> Totals:
        """Sums over all jobs, for monitoring."""
        return self._queue.totals()

    def interrupt(self, job_id: str) -> None:
        """Stop the job and keep what is finished. A job that has not begun is cancelled."""
        if not self._cancel_waiting(job_id) and self._queue.ask_to_stop(job_id, "interrupt"):
            self._notes.steer(job_id, interrupt=True)

    def cancel(self, job_id: str) -> None:
        """Stop the job, wherever it is."""
        if not self._cancel_waiting(job_id) and self._queue.ask_to_stop(job_id, "cancel"):
            self._notes.steer(job_id, cancel=True)

    def skip(self, job_id: str) -> None:
        """End the picture that is being made and go on with the next."""
        view = self.view(job_id)
        if view.started is not None and not view.state.is_final:
            self._notes.steer(job_id, skip=True)

    def pause(self, job_id: str) -> None:
        """Hold a job: a waiting one is not begun, a running one keeps still where it is."""
        if self._queue.set_paused(job_id, True):
            self._notes.steer(job_id, pause=True)
            self._board.update(job_id, state=JobState.PAUSED, position=0)
            self._refresh_positions()

    def resume(self, job_id: str) -> None:
        """Let a paused job go on."""
        if self._queue.set_paused(job_id, False):
            self._notes.steer(job_id, pause=False)
            self._board.update(job_id, state=self._queue.job(job_id).state)
            self._refresh_positions()
            self._work.set()

    def move(self, job_id: str, place: int) -> None:
        """Put a waiting job at a place among its owner's waiting jobs, 1 is first.

        Raises:
            NotFoundError: the job does not wait.
        """
        owner = self.view(job_id).owner
        waiting = sorted(
            (view for view in self._board.active(owner) if view.state is JobState.QUEUED),
            key=lambda view: view.position,
        )
        others = [view.id for view in waiting if view.id != job_id]
        if len(others) == len(waiting):
            raise NotFoundError("job_id", "the job does not wait any more")
        place = min(max(place, 1), len(waiting)) - 1
        self.reorder(owner, [*others[:place], job_id, *others[place:]])

    def reorder(self, owner: str, job_ids: Sequence[str]) -> None:
        """Let the owner's waiting jobs swap places so that they come in the given order."""
        self._queue.reorder(owner, job_ids)
        self._refresh_positions()

    # --- for the runner ------------------------------------------------------------------------

    def recover(self) -> tuple[str, ...]:
        """Call once at start: take jobs of the last run back in. Returns ids that were running."""
        again = self._queue.requeue_running()
        for job in self._queue.active():
            self._notes.begin(job.id)
            self._board.add(self._stored_view(job))
            if job.paused:
                self._notes.steer(job.id, pause=True)
        self._refresh_positions()
        self._work.set()
        return again

    def claim(self, timeout: float = 0.0, skip_owners: Collection[str] = ()) -> Job | None:
        """Take the next job, waiting up to ``timeout`` seconds for one. Costs nothing when idle.

        Jobs of ``skip_owners`` are passed over: who has a job on the device waits with the next one.
        """
        if not self._work.wait(timeout):
            return None
        self._work.clear()  # before looking: a submit from here on sets it again
        job = self._queue.claim(skip_owners)
        if job is None:
            return None
        self._work.set()  # there may be more
        self._notes.begin(job.id)
        self._board.add(self._stored_view(job))  # submitted by another process, or a moment ago
        self._board.update(job.id, state=job.state, started=job.started, position=0)
        self._refresh_positions()
        return job

    def wants(self, job_id: str) -> Control:
        """What the owner wants of a running job; cheap enough to be asked before each step."""
        return self._notes.control(job_id)

    def acknowledge_skip(self, job_id: str) -> None:
        """The runner has ended the picture that was to be skipped."""
        self._notes.steer(job_id, skip=False)

    def is_lasting(self, job_id: str) -> bool:
        """Whether a power cut must not take back what is shown of the job; always so after a restart."""
        return self._notes.is_lasting(job_id)

    def report(self, job_id: str, **changes: Unpack[ViewChanges]) -> JobView:
        """Publish progress of a running job; it is not written to disk."""
        return self._board.update(job_id, **changes)

    def is_watched(self, job_id: str) -> bool:
        """Whether somebody follows the job, or has looked at it in the last seconds."""
        return self._notes.is_watched(job_id) or self._board.is_followed(job_id)

    def add_images(self, job_id: str, *images: ResultImage, show: bool = True) -> None:
        """Record a finished picture on disk, then show it.

        Args:
            job_id: the job.
            images: the picture and its masks.
            show: False leaves showing it to :meth:`show_images` or :meth:`finish`, one of which must follow
                at once: what nobody has seen need not be safe from a power cut, so that two writes wait
                for the disk only once.
        """
        self._queue.add_images(job_id, *images, durable=show and self.is_lasting(job_id))
        self.archive_images(job_id, *images)
        if show:
            self._show_images(job_id)

    def show_images(self, job_id: str, seconds: float) -> None:
        """Show pictures that were recorded before; books device time on the way, as :meth:`charge` does."""
        self._queue.charge(job_id, seconds, durable=self.is_lasting(job_id))
        self._show_images(job_id)

    def archive_images(self, job_id: str, *images: ResultImage) -> None:
        """Record pictures that the job has saved and does not show, such as the cells of a plot."""
        archive = self._archive
        kept = [] if archive is None else [image for image in images if archive.keeps(image)]
        if archive is not None and kept:
            archive.record(self._queue.job(job_id), kept)

    def finished_images(self, job_id: str) -> tuple[ResultImage, ...]:
        """Pictures of the job that are on disk already, as after a crash."""
        return self._queue.images(job_id)

    def charge(self, job_id: str, seconds: float) -> None:
        """Book device time in seconds; call it now and then while a job runs."""
        self._queue.charge(job_id, seconds)

    def finish(self, job_id: str, outcome: Outcome, seconds: float = 0.0) -> None:
        """End a running job and book the last of its device time: on disk first, then shown to followers."""
        if self._queue.finish(job_id, outcome, seconds, durable=self.is_lasting(job_id)):
            self._show_end(job_id)
        self._work.set()  # its owner's next job may start now

    def forgive(self, job_id: str) -> None:
        """Forget the crashes of a job that has got on since and is kept so."""
        self._queue.forgive(job_id)

    def hold(self, job_ids: Sequence[str]) -> None:
        """Note whose work is being done now; if the server dies over it, they are suspected."""
        note_jobs(job_ids)
        self._queue.hands.hold(job_ids)

    def blame_nobody(self) -> None:
        """From now on the server ends on purpose, however it ends."""
        self._queue.hands.close()

    def release(self, job_id: str) -> None:
        """Give a running job back at a clean shutdown; the next start takes it up again."""
        self._queue.release(job_id)

    def close(self) -> None:
        """Close the queue's file."""
        self._queue.close()

    # --- inside --------------------------------------------------------------------------------

    def _enter(
        self,
        view: JobView,
        kind: JobKind,
        payload: str,
        *,
        seconds: float | None = None,
        lasting: Lasting = "job",
    ) -> str:
        # noted before the runner can claim it: it may have ended by the time that it is shown here
        self._notes.begin(view.id, cost=seconds, lasting=lasting != "nothing")
        try:
            self._queue.submit(
                kind,
                payload,
                view.owner,
                job_id=view.id,
                images_total=view.images_total,
                durable=lasting == "job",
            )
        except BaseException:
            self._notes.forget(view.id)
            raise
        self._board.add(replace(view, created=self._queue.job(view.id).created))
        self._refresh_positions()
        self._work.set()
        return view.id

    def _cancel_waiting(self, job_id: str) -> bool:
        self.view(job_id)  # raises when there is no such job
        if not self._queue.cancel_waiting(job_id):
            return False
        self._show_end(job_id)
        return True

    def _show_images(self, job_id: str) -> None:
        known = self._queue.images(job_id)
        self._board.update(job_id, images=known, images_done=count_pictures(known))

    def _show_end(self, job_id: str) -> None:
        job, images = self._queue.job(job_id), self._queue.images(job_id)
        self._board.update(
            job_id,
            images=images,
            images_done=count_pictures(images),
            state=job.state,
            position=0,
            progress=1.0 if job.state is JobState.DONE else self._board.view(job_id).progress,
            error=job.error,
            error_kind=job.error_kind,
            error_field=job.error_field,
            comments=job.comments,
            info=job.info,
            finished=job.finished,
            eta_seconds=None,
        )
        self._notes.forget(job_id)
        self._refresh_positions()

    def _look_at(self, view: JobView) -> None:
        if not view.state.is_final:
            self._notes.look(view.id)

    def _expected(self, job_id: str) -> float | None:
        """Device time of a job: as foreseen when it was submitted, else as the latest jobs took."""
        known = self._notes.cost(job_id)
        return self._queue.mean_seconds() if known is None else known

    def _etas(self) -> dict[str, float]:
        """Seconds until each waiting job will have ended, as far as can be told."""
        running = [view for view in self._board.active() if view.state is JobState.RUNNING]
        clock = sum(view.eta_seconds or 0.0 for view in running)
        etas: dict[str, float] = {}
        for job_id in self._queue.pending():
            if (cost := self._expected(job_id)) is None:
                break
            clock += cost
            etas[job_id] = clock
        return etas

    def _refresh_positions(self) -> None:
        for position, job_id in enumerate(self._queue.pending(), start=1):
            if job_id in self._board and self._board.view(job_id).position != position:
                self._board.update(job_id, position=position)

    def _stored_view(self, job: Job) -> JobView:
        return view_of(job, self._queue.images(job.id))
