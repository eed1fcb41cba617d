import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.domain.job import JobKind, JobState, Lasting, ResultImage
from modules.domain.request import GenerationRequest
from modules.exceptions import NotFoundError, QueueFullError
from modules.jobs.board import JobBoard
from modules.jobs.control import Control
from modules.jobs.queue import JobQueue, Outcome
from modules.jobs.service import JobService

REQUEST = GenerationRequest(prompt="a red apple", steps=4, batch_size=2)
LASTING: tuple[Lasting, Lasting] = ("pictures", "nothing")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[JobService]:
    service = open_service(tmp_path)
    yield service
    service.close()


def open_service(path: Path, keep_finished: int = 100) -> JobService:
    queue = JobQueue(path / "jobs.sqlite3")
    return JobService(queue, JobBoard(keep_finished=keep_finished))


def claim(service: JobService) -> str:
    job = service.claim()
    assert job is not None
    return job.id


def test_a_submitted_request_comes_out_as_it_went_in(service: JobService) -> None:
    job_id = service.submit(REQUEST, "ann")
    view = service.view(job_id)
    assert (view.state, view.position, view.images_total, view.steps) == (JobState.QUEUED, 1, 2, 4)
    job = service.claim()
    assert job is not None
    assert GenerationRequest.model_validate_json(job.payload) == REQUEST
    assert service.request(job_id) == REQUEST
    assert service.view(job_id).state is JobState.RUNNING


def test_positions_move_up_when_a_job_is_claimed(service: JobService) -> None:
    ids = [service.submit(REQUEST, "ann") for _ in range(3)]
    claim(service)
    assert [service.view(job_id).position for job_id in ids] == [0, 1, 2]


def test_a_job_is_watched_while_it_is_followed_or_asked_for(
    service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("modules.jobs.notes.time.monotonic", lambda: now)
    job_id = service.submit(REQUEST, "ann")
    claim(service)
    assert not service.is_watched(job_id)
    service.view(job_id)
    assert service.is_watched(job_id)
    now += 60
    assert not service.is_watched(job_id)
    service.active("ann")
    assert service.is_watched(job_id)
    now += 60

    async def follow() -> bool:
        views = service.follow(job_id)
        await anext(views)
        watched = service.is_watched(job_id)
        await views.aclose()  # type: ignore[attr-defined]
        return watched

    assert asyncio.run(follow())
    service.finish(job_id, Outcome(JobState.DONE))
    service.view(job_id)
    assert not service.is_watched(job_id)


def test_a_picture_is_found_when_its_file_is_there(tmp_path: Path) -> None:
    waited: list[Path] = []
    service = JobService(JobQueue(tmp_path / "jobs.sqlite3"), JobBoard(), wait_for=waited.append)
    job_id = service.submit(REQUEST, "ann")
    claim(service)
    service.add_images(job_id, ResultImage("img", "/out/1.png", 0, 64, 64, 7, "text"))
    assert waited == []  # showing it waits for nobody
    with pytest.raises(NotFoundError):  # who may not see it does not even wait
        service.image("img", "bob")
    assert waited == []
    assert service.image("img", "ann").job_id == job_id
    assert waited == [Path("/out/1.png")]
    service.close()


def test_finished_pictures_are_shown_at_once_and_found_by_id(service: JobService) -> None:
    job_id = service.submit(REQUEST, "ann")
    claim(service)
    image = ResultImage("img", "/out/1.png", 0, 64, 64, 7, "text")
    service.add_images(job_id, image)
    assert service.view(job_id).images == (image,)
    assert service.image("img", "ann").owner == "ann"
    service.add_images(job_id, ResultImage("grid", "/out/g.png", -1, 128, 64, 7, "text"))
    service.finish(job_id, Outcome(JobState.DONE, info='{"seed": 7}'))
    view = service.view(job_id)
    assert (view.state, view.progress, view.images_done, view.info) == (JobState.DONE, 1.0, 1, '{"seed": 7}')


def test_an_old_job_is_read_from_the_file(tmp_path: Path) -> None:
    service = open_service(tmp_path, keep_finished=0)
    job_id = service.submit(REQUEST, "ann")
    claim(service)
    service.add_images(job_id, ResultImage("img", "/out/1.png", 0, 64, 64, 7, "text"))
    service.finish(job_id, Outcome(JobState.DONE))
    assert service.latest("ann") is None
    view = service.view(job_id)
    assert (view.state, [image.id for image in view.images]) == (JobState.DONE, ["img"])
    assert service.wait(job_id, timeout=1) == view

    async def collect() -> list[JobState]:
        return [view.state async for view in service.follow(job_id)]

    assert asyncio.run(collect()) == [JobState.DONE]
    assert [view.id for view in service.recent("ann")] == [job_id]
    service.close()


def test_a_strangers_job_looks_like_one_that_does_not_exist(service: JobService) -> None:
    job_id = service.submit(REQUEST, "ann")
    with pytest.raises(NotFoundError) as strangers:
        service.owned_view(job_id, "bob")
    with pytest.raises(NotFoundError) as unknown:
        service.owned_view("0" * 32, "bob")
    assert str(strangers.value) == str(unknown.value)
    assert service.owned_view(job_id, "ann").id == job_id


def test_wishes_reach_the_runner_and_die_with_the_job(service: JobService) -> None:
    job_id = service.submit(REQUEST, "ann")
    claim(service)
    assert service.wants(job_id) == Control()
    service.skip(job_id)
    service.pause(job_id)
    assert service.wants(job_id) == Control(skip=True, pause=True)
    assert service.view(job_id).state is JobState.PAUSED
    service.acknowledge_skip(job_id)
    service.resume(job_id)
    assert service.wants(job_id) == Control()
    assert service.view(job_id).state is JobState.RUNNING
    service.interrupt(job_id)
    assert service.wants(job_id).interrupt
    service.finish(job_id, Outcome(JobState.DONE))
    assert service.wants(job_id) == Control()
    other = service.submit(REQUEST, "ann")
    assert service.wants(other) == Control()


def test_stopping_a_job_that_has_not_begun_cancels_it(service: JobService) -> None:
    first, second = service.submit(REQUEST, "ann"), service.submit(REQUEST, "ann")
    service.interrupt(first)
    service.cancel(second)
    assert service.view(first).state is service.view(second).state is JobState.CANCELLED
    assert service.claim() is None


def test_stopping_or_skipping_a_finished_job_changes_nothing(service: JobService) -> None:
    job_id = service.submit(REQUEST, "ann")
    claim(service)
    service.finish(job_id, Outcome(JobState.DONE))
    ended = service.view(job_id)
    service.interrupt(job_id)
    service.cancel(job_id)
    service.skip(job_id)
    service.pause(job_id)
    service.resume(job_id)
    assert service.view(job_id) == ended
    assert service.wants(job_id) == Control()


def test_steering_an_unknown_job_is_an_error(service: JobService) -> None:
    for steer in (service.interrupt, service.cancel, service.skip):
        with pytest.raises(NotFoundError):
            steer("0" * 32)


def test_a_paused_job_waits_until_it_is_resumed(service: JobService) -> None:
    job_id = service.submit(REQUEST, "ann")
    service.pause(job_id)
    assert service.view(job_id).state is JobState.PAUSED
    assert service.claim() is None
    service.resume(job_id)
    assert service.view(job_id).state is JobState.QUEUED
    assert claim(service) == job_id


def test_the_runner_is_woken_by_a_submission(service: JobService) -> None:
    assert service.claim() is None
    timer = threading.Timer(0.05, lambda: service.submit(REQUEST, "ann"))
    timer.start()
    started = time.monotonic()
    assert service.claim(timeout=30) is not None
    assert time.monotonic() - started < 10
    timer.join()


def test_an_idle_claim_returns_after_its_timeout(service: JobService) -> None:
    assert service.claim() is None
    assert service.claim(timeout=0.01) is None


def test_after_a_crash_jobs_are_back_on_the_board(service: JobService, tmp_path: Path) -> None:
    running, waiting = service.submit(REQUEST, "ann"), service.submit(REQUEST, "ann")
    claim(service)
    service.add_images(running, ResultImage("img", "/out/1.png", 0, 64, 64, 7, "text"))
    service.pause(waiting)
    again = open_service(tmp_path)
    assert again.recover() == (running,)
    view = again.view(running)
    assert (view.state, view.images_done, view.images_total) == (JobState.QUEUED, 1, 2)
    assert [image.id for image in again.finished_images(running)] == ["img"]
    assert again.view(waiting).state is JobState.PAUSED
    assert claim(again) == running
    again.close()


def test_own_jobs_can_be_reordered(service: JobService) -> None:
    first, second = service.submit(REQUEST, "ann"), service.submit(REQUEST, "ann")
    service.reorder("ann", [second, first])
    assert (service.view(first).position, service.view(second).position) == (2, 1)
    assert claim(service) == second


def test_a_training_run_is_a_job_too(service: JobService) -> None:
    service.submit_training('{"steps": 10}', "ann")
    job = service.claim()
    assert job is not None
    assert (job.kind.value, job.payload) == ("train", '{"steps": 10}')


def test_interrupting_at_any_moment_never_touches_the_next_job(service: JobService) -> None:
    for _ in range(20):
        job_id = service.submit(REQUEST, "ann")
        claim(service)
        stopper = threading.Thread(target=service.interrupt, args=(job_id,))
        stopper.start()
        service.finish(job_id, Outcome(JobState.DONE))
        following = service.submit(REQUEST, "ann")
        claim(service)
        stopper.join()
        assert service.wants(following) == Control()
        service.finish(following, Outcome(JobState.DONE))


def test_pictures_that_are_not_shown_yet_come_with_the_end(service: JobService) -> None:
    job_id = service.submit(REQUEST, "ann")
    claim(service)
    first, second = (ResultImage(f"img{n}", f"/out/{n}.png", n, 64, 64, 7, "text") for n in (0, 1))
    service.add_images(job_id, first, show=False)
    assert service.view(job_id).images == ()
    service.show_images(job_id, 1.5)
    assert service.view(job_id).images == (first,)
    service.add_images(job_id, second, show=False)
    assert service.finished_images(job_id) == (first, second)  # in the file, should the process die now
    service.finish(job_id, Outcome(JobState.DONE))
    view = service.view(job_id)
    assert (view.images, view.images_done) == ((first, second), 2)


def test_who_waits_for_the_end_only_does_not_watch(service: JobService) -> None:
    job_id = service.submit(REQUEST, "ann")
    claim(service)

    async def wait() -> tuple[bool, JobState]:
        last = asyncio.ensure_future(service.ended(job_id))
        await asyncio.sleep(0)
        watched = service.is_watched(job_id)
        service.report(job_id, step=1)
        service.finish(job_id, Outcome(JobState.DONE))
        return watched, (await last).state

    assert asyncio.run(wait()) == (False, JobState.DONE)
    assert asyncio.run(service.ended(job_id)).state is JobState.DONE


def test_the_end_of_an_old_job_is_read_from_the_file(tmp_path: Path) -> None:
    service = open_service(tmp_path, keep_finished=0)
    job_id = service.submit(REQUEST, "ann")
    claim(service)
    service.finish(job_id, Outcome(JobState.FAILED, "no"))
    assert asyncio.run(service.ended(job_id)).error == "no"
    with pytest.raises(NotFoundError):
        asyncio.run(service.ended("unknown"))
    service.close()


def test_nothing_lasts_of_a_job_whose_pictures_are_in_the_answer_until_a_restart(tmp_path: Path) -> None:
    service = open_service(tmp_path)
    kept, answered = (service.submit(REQUEST, "ann", lasting=lasting) for lasting in LASTING)
    assert (service.is_lasting(kept), service.is_lasting(answered)) == (True, False)
    service.close()
    service = open_service(tmp_path)  # killed: both jobs are there, and whoever waited is gone
    service.recover()
    assert {view.id for view in service.active()} == {kept, answered}
    assert service.is_lasting(answered)
    service.close()


@pytest.mark.parametrize("ends", [True, False])
def test_a_job_is_noted_before_it_can_end_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    quick, queue_up = open_service(tmp_path), JobQueue.submit

    def slow(
        queue: JobQueue,
        kind: JobKind,
        payload: str,
        owner: str,
        *,
        job_id: str,
        images_total: int,
        durable: bool,
    ) -> str:
        """The runner claims the job, and has perhaps ended it, before whoever submits it goes on."""
        queue_up(queue, kind, payload, owner, job_id=job_id, images_total=images_total, durable=durable)
        assert claim(quick) == job_id
        assert not quick.is_lasting(job_id)
        if ends:
            quick.finish(job_id, Outcome(JobState.DONE))
        return job_id

    monkeypatch.setattr(JobQueue, "submit", slow)
    job_id = quick.submit(REQUEST, "ann", lasting="nothing")
    assert quick.is_lasting(job_id) == ends  # as of every job that nothing is noted of
    assert quick.view(job_id).state is (JobState.DONE if ends else JobState.RUNNING)
    quick.close()


def test_a_late_wish_or_look_leaves_no_note_behind(service: JobService) -> None:
    job_id = service.submit(REQUEST, "ann")
    service.finish(claim(service), Outcome(JobState.DONE))
    service.acknowledge_skip(job_id)
    service.view(job_id)
    assert service.wants(job_id) == Control()
    assert not service.is_watched(job_id)


def test_nothing_is_noted_of_a_job_that_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modules.jobs.service.new_job_id", lambda: "0" * 32)
    service = JobService(JobQueue(tmp_path / "jobs.sqlite3", limit=0), JobBoard())
    with pytest.raises(QueueFullError):
        service.submit(REQUEST, "ann", lasting="nothing")
    assert service.is_lasting("0" * 32)
    service.close()
