import asyncio
import threading

import pytest

from modules.domain.job import JobState, JobView
from modules.exceptions import NotFoundError
from modules.jobs.board import JobBoard


def board_with(*ids: str, **options: int) -> JobBoard:
    board = JobBoard(**options)
    for job_id in ids:
        board.add(JobView(job_id, "ann", JobState.QUEUED))
    return board


def test_an_update_counts_versions_and_previews() -> None:
    board = board_with("a")
    board.update("a", step=1)
    view = board.update("a", preview=b"jpeg")
    assert (view.version, view.preview_version, view.step, view.preview) == (2, 1, 1, b"jpeg")


def test_a_job_that_has_ended_does_not_change_any_more() -> None:
    board = board_with("a")
    ended = board.update("a", state=JobState.CANCELLED)
    assert board.update("a", state=JobState.RUNNING, step=5) == ended


def test_a_follower_is_woken_from_another_thread_and_ends_with_the_job() -> None:
    board = board_with("a")
    started = threading.Event()

    def work() -> None:
        started.wait()
        for step in range(1, 4):
            board.update("a", state=JobState.RUNNING, step=step)
        board.update("a", state=JobState.DONE)

    async def collect() -> list[JobView]:
        views = []
        async for view in board.follow("a"):
            started.set()
            views.append(view)
        return views

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    views = asyncio.run(asyncio.wait_for(collect(), 30))
    worker.join()
    versions = [view.version for view in views]
    assert versions == sorted(set(versions))
    assert views[-1].state is JobState.DONE
    assert views[-1].step == 3
    assert not board.is_followed("a")


def test_a_slow_follower_skips_views_but_never_the_end() -> None:
    board = board_with("a")

    async def collect() -> list[int]:
        steps = []
        async for view in board.follow("a"):
            steps.append(view.step)
            if view.step == 0:
                for step in range(1, 100):
                    board.update("a", step=step)
                board.update("a", state=JobState.FAILED)
        return steps

    assert asyncio.run(collect()) == [0, 99]


def test_a_follower_who_leaves_is_forgotten() -> None:
    board = board_with("a")

    async def peek() -> bool:
        views = board.follow("a")
        await anext(views)
        followed = board.is_followed("a")
        await views.aclose()  # type: ignore[attr-defined]
        return followed

    assert asyncio.run(peek())
    assert not board.is_followed("a")


def test_waiting_returns_the_last_view_or_gives_up() -> None:
    board = board_with("a")
    assert board.wait("a", timeout=0.01).state is JobState.QUEUED
    timer = threading.Timer(0.05, lambda: board.update("a", state=JobState.DONE))
    timer.start()
    assert board.wait("a", timeout=30).state is JobState.DONE
    timer.join()


def test_only_the_youngest_ended_views_stay_in_memory() -> None:
    board = board_with("a", "b", "c", "d", keep_finished=2)
    for job_id in "abc":
        board.update(job_id, state=JobState.DONE)
    assert "a" not in board
    assert all(job_id in board for job_id in "bcd")
    with pytest.raises(NotFoundError):
        board.view("a")


def test_active_and_latest_are_told_apart_by_owner() -> None:
    board = board_with("a", "b")
    board.add(JobView("x", "bob", JobState.RUNNING))
    board.update("a", state=JobState.DONE)
    assert [view.id for view in board.active("ann")] == ["b"]
    assert [view.id for view in board.active()] == ["b", "x"]
    latest = board.latest("ann")
    assert latest is not None
    assert latest.id == "b"
    assert board.latest("nobody") is None
