"""Live views of jobs: written by the runner's thread, followed by pages and clients."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from modules.domain.job import JobState, JobView, ResultImage
from modules.exceptions import NotFoundError

__all__ = ["JobBoard", "ViewChanges"]


class ViewChanges(TypedDict, total=False):
    """What an update may change; the board itself counts ``version`` and ``preview_version``."""

    state: JobState
    position: int
    progress: float
    step: int
    steps: int
    images_done: int
    images_total: int
    eta_seconds: float | None
    text: str
    preview: bytes | None
    images: tuple[ResultImage, ...]
    error: str | None
    error_kind: str
    error_field: str
    comments: tuple[str, ...]
    info: str
    started: float | None
    finished: float | None


@dataclass(eq=False)
class _Follower:
    loop: asyncio.AbstractEventLoop
    changed: asyncio.Event
    only_end: bool = False

    def wake(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.changed.set)


class JobBoard:
    """Thread-safe table of the newest view of each live job.

    Views of jobs that have ended stay until ``keep_finished`` younger ones have ended too; what a
    job made is read from the queue's file after that.
    """

    def __init__(self, *, keep_finished: int = 100) -> None:
        self._keep_finished = keep_finished
        self._changed = threading.Condition()
        self._views: dict[str, JobView] = {}
        self._ended: dict[str, None] = {}  # insertion order is order of ending
        self._followers: defaultdict[str, set[_Follower]] = defaultdict(set)

    def add(self, view: JobView) -> None:
        """Put a new job on the board, unless it is there already."""
        with self._changed:
            self._views.setdefault(view.id, view)

    def __contains__(self, job_id: str) -> bool:
        with self._changed:
            return job_id in self._views

    def view(self, job_id: str) -> JobView:
        """The newest view of a job.

        Raises:
            NotFoundError: the job is unknown, or ended long ago.
        """
        with self._changed:
            try:
                return self._views[job_id]
            except KeyError:
                raise NotFoundError("id", "there is no such job") from None

    def update(self, job_id: str, **changes: Unpack[ViewChanges]) -> JobView:
        """Replace parts of a view and wake whoever follows it. A job that has ended stays as it is.

        Raises:
            NotFoundError: the job is not on the board.
        """
        with self._changed:
            old = self.view(job_id)
            if old.state.is_final:
                return old
            new = replace(
                old,
                version=old.version + 1,
                preview_version=old.preview_version + ("preview" in changes),
                **changes,
            )
            self._views[job_id] = new
            if new.state.is_final:
                self._ended[job_id] = None
                self._drop_old()
            self._changed.notify_all()
            for follower in self._followers.get(job_id, ()):
                if new.state.is_final or not follower.only_end:
                    follower.wake()
        return new

    async def follow(self, job_id: str) -> AsyncIterator[JobView]:
        """Yield the view now and after changes until the job ends; a slow reader skips views.

        Raises:
            NotFoundError: the job is not on the board.
        """
        follower = _Follower(asyncio.get_running_loop(), asyncio.Event())
        with self._changed:
            view = self.view(job_id)
            self._followers[job_id].add(follower)
        try:
            yield view
            while not view.state.is_final:
                await follower.changed.wait()
                follower.changed.clear()
                seen, view = view.version, self.view(job_id)
                if view.version != seen:
                    yield view
        finally:
            self._unfollow(job_id, follower)

    async def ended(self, job_id: str) -> JobView:
        """The last view of a job, once there is one. Who waits for it does not follow the job.

        Raises:
            NotFoundError: the job is not on the board.
        """
        follower = _Follower(asyncio.get_running_loop(), asyncio.Event(), only_end=True)
        with self._changed:
            view = self.view(job_id)
            self._followers[job_id].add(follower)
        try:
            if not view.state.is_final:
                await follower.changed.wait()
            return self.view(job_id)
        finally:
            self._unfollow(job_id, follower)

    def wait(self, job_id: str, timeout: float | None = None) -> JobView:
        """Block the thread until the job has ended or ``timeout`` seconds are over.

        Raises:
            NotFoundError: the job is not on the board (any more).
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            view = self.view(job_id)
            while not view.state.is_final:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
                view = self.view(job_id)
            return view

    def is_followed(self, job_id: str) -> bool:
        """Whether somebody watches; a runner may spare previews when nobody does."""
        with self._changed:
            return any(not follower.only_end for follower in self._followers.get(job_id, ()))

    def active(self, owner: str | None = None) -> tuple[JobView, ...]:
        """Views of jobs that have not ended, of one owner or of all, oldest first."""
        with self._changed:
            live = [view for view in self._views.values() if not view.state.is_final]
        return tuple(view for view in live if owner is None or view.owner == owner)

    def latest(self, owner: str) -> JobView | None:
        """The view of the owner's job that was submitted last, ended or not."""
        with self._changed:
            for view in reversed(self._views.values()):
                if view.owner == owner:
                    return view
        return None

    def _unfollow(self, job_id: str, follower: _Follower) -> None:
        with self._changed:
            followers = self._followers[job_id]
            followers.discard(follower)
            if not followers:
                del self._followers[job_id]
            self._drop_old()

    def _drop_old(self) -> None:
        surplus = len(self._ended) - self._keep_finished
        for job_id in [old for old in self._ended if old not in self._followers][: max(surplus, 0)]:
            del self._views[job_id], self._ended[job_id]
