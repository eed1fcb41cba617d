import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.domain.job import JobKind, JobState, ResultImage
from modules.exceptions import NotFoundError, QueueFullError
from modules.jobs.queue import JobQueue, Outcome

DONE = Outcome(JobState.DONE)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    queue = JobQueue(tmp_path / "jobs.sqlite3", limit=10)
    yield queue
    queue.close()


def reopen(path: Path) -> JobQueue:
    return JobQueue(path / "jobs.sqlite3", limit=10)


def submit(queue: JobQueue, owner: str = "ann", payload: str = "{}") -> str:
    return queue.submit(JobKind.GENERATE, payload, owner)


def picture(image_id: str, index: int = 0, seed: int = 1) -> ResultImage:
    return ResultImage(image_id, f"/out/{image_id}.png", index, 64, 48, seed, "a cat\nSteps: 1")


def test_a_claimed_job_is_the_submitted_one(queue: JobQueue) -> None:
    job_id = submit(queue, payload='{"prompt": "\\u732b"}')
    job = queue.claim()
    assert job is not None
    assert (job.id, job.owner, job.payload) == (job_id, "ann", '{"prompt": "\\u732b"}')
    assert (job.state, job.crashes) == (JobState.RUNNING, 0)
    assert queue.claim() is None


def test_a_full_queue_says_when_to_come_back(queue: JobQueue) -> None:
    for _ in range(10):
        submit(queue)
    with pytest.raises(QueueFullError, match="10 jobs are waiting") as refusal:
        submit(queue)
    assert 1 <= refusal.value.retry_after <= 300
    queue.claim()
    submit(queue)


def test_one_owner_cannot_close_the_queue_for_others(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "shared.sqlite3", limit=100)
    for _ in range(100):
        submit(queue, "ann")
    for owner in ("bob", "cid"):
        for _ in range(2):
            submit(queue, owner)
        with pytest.raises(QueueFullError):
            submit(queue, owner)
    with pytest.raises(QueueFullError):
        submit(queue, "ann")
    for number in range(96):
        submit(queue, f"artist {number}")
    with pytest.raises(QueueFullError, match="200 jobs are waiting"):
        submit(queue, "a newcomer")
    queue.close()


def test_waiting_jobs_survive_a_restart_in_their_order(queue: JobQueue, tmp_path: Path) -> None:
    ids = [submit(queue) for _ in range(4)]
    again = reopen(tmp_path)
    assert again.pending() == tuple(ids)
    again.close()


def test_a_job_in_whose_work_the_server_dies_is_taken_up_once_more_and_then_failed(queue: JobQueue) -> None:
    job_id = submit(queue)
    queue.claim()
    queue.hands.hold([job_id])
    assert queue.requeue_running() == (job_id,)
    second = queue.claim()
    assert second is not None
    assert second.crashes == 1
    queue.hands.hold([job_id])
    assert queue.requeue_running() == ()
    failed = queue.job(job_id)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert "2 times" in failed.error


def test_a_job_that_gets_on_survives_any_number_of_crashes(queue: JobQueue) -> None:
    job_id = submit(queue)
    for index in range(5):
        assert queue.claim() is not None
        queue.add_images(job_id, picture(str(index), index))
        queue.hands.hold([job_id])
        assert queue.requeue_running() == (job_id,)
    assert len(queue.images(job_id)) == 5


def test_a_crash_counts_against_the_job_in_hand_alone(queue: JobQueue) -> None:
    guilty, innocent = submit(queue), submit(queue, owner="bob")
    for _ in range(2):
        assert {job.id for job in (queue.claim(), queue.claim()) if job is not None} == {guilty, innocent}
        queue.hands.hold([guilty])
        queue.requeue_running()
    assert queue.job(guilty).state is JobState.FAILED
    assert (queue.job(innocent).state, queue.job(innocent).crashes) == (JobState.QUEUED, 0)


def test_the_note_of_who_is_in_hand_outlives_the_process(tmp_path: Path) -> None:
    first = reopen(tmp_path)
    job_id = submit(first)
    first.claim()
    first.hands.hold([job_id])  # the process ends here: nothing is closed
    again = reopen(tmp_path)
    assert again.requeue_running() == (job_id,)
    assert again.job(job_id).crashes == 1
    again.close()


def test_an_end_on_purpose_blames_nobody(queue: JobQueue, tmp_path: Path) -> None:
    job_id = submit(queue)
    queue.claim()
    queue.hands.hold([job_id])
    queue.hands.close()
    queue.hands.hold([job_id])
    again = reopen(tmp_path)
    assert again.requeue_running() == (job_id,)
    assert again.job(job_id).crashes == 0
    again.close()


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    earlier = reopen(tmp_path)
    job_id = submit(earlier)
    earlier.close()
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as db:
        for column in ("crashes", "error_field"):
            db.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
    db.close()
    queue = reopen(tmp_path)
    assert (queue.job(job_id).crashes, queue.job(job_id).error_field) == (0, "")
    queue.close()


def test_a_clean_shutdown_is_no_blame(queue: JobQueue) -> None:
    job_id = submit(queue)
    for _ in range(5):
        assert queue.claim() is not None
        queue.release(job_id)
    assert queue.job(job_id).state is JobState.QUEUED
    assert queue.job(job_id).crashes == 0


def test_a_job_that_was_being_cancelled_stays_cancelled_through_a_crash(queue: JobQueue) -> None:
    job_id = submit(queue)
    queue.claim()
    assert queue.ask_to_stop(job_id, "cancel")
    assert queue.requeue_running() == ()
    assert queue.job(job_id).state is JobState.CANCELLED


def test_a_job_ends_once(queue: JobQueue) -> None:
    job_id = submit(queue)
    queue.claim()
    assert queue.finish(job_id, Outcome(JobState.DONE, info="first", comments=("a LoRA is missing",)))
    assert not queue.finish(job_id, Outcome(JobState.FAILED, error="late"))
    job = queue.job(job_id)
    assert (job.state, job.info, job.comments, job.error) == (
        JobState.DONE,
        "first",
        ("a LoRA is missing",),
        None,
    )


def test_a_running_job_is_not_cancelled_as_a_waiting_one(queue: JobQueue) -> None:
    job_id = submit(queue)
    queue.claim()
    assert not queue.cancel_waiting(job_id)
    assert queue.job(job_id).state is JobState.RUNNING


def test_a_paused_job_is_passed_over_until_it_may_go_on(queue: JobQueue) -> None:
    first, second = submit(queue), submit(queue)
    assert queue.set_paused(first, True)
    assert queue.job(first).state is JobState.PAUSED
    claimed = queue.claim()
    assert claimed is not None
    assert claimed.id == second
    assert queue.claim() is None
    queue.set_paused(first, False)
    claimed = queue.claim()
    assert claimed is not None
    assert claimed.id == first


def test_a_job_paused_in_the_middle_stays_paused_through_a_crash(queue: JobQueue) -> None:
    job_id = submit(queue)
    queue.claim()
    queue.set_paused(job_id, True)
    queue.requeue_running()
    assert queue.claim() is None
    assert queue.job(job_id).state is JobState.PAUSED


def test_a_light_user_overtakes_a_heavy_one(queue: JobQueue) -> None:
    heavy = [submit(queue, "heavy") for _ in range(3)]
    first = queue.claim()
    assert first is not None
    light = submit(queue, "light")
    queue.charge(first.id, 60.0)
    queue.finish(first.id, DONE)
    order = []
    while (job := queue.claim()) is not None:
        order.append(job.id)
        queue.charge(job.id, 1.0)
        queue.finish(job.id, DONE)
    assert order == [light, *heavy[1:]]


def test_time_away_is_not_saved_up(queue: JobQueue) -> None:
    regular = submit(queue, "regular")
    queue.charge(regular, 1000.0)
    submit(queue, "newcomer")
    assert queue.used_seconds("newcomer") == 1000.0


def test_own_jobs_swap_places_and_nobody_elses(queue: JobQueue) -> None:
    mine = [submit(queue, "ann") for _ in range(3)]
    other = submit(queue, "bob")
    queue.reorder("ann", [mine[2], other, "no such job", mine[0]])
    own_order = [job_id for job_id in queue.pending() if job_id != other]
    assert own_order == [mine[2], mine[1], mine[0]]
    assert queue.pending().index(other) == 1


def test_pictures_are_found_by_id_with_their_owner(queue: JobQueue) -> None:
    job_id = submit(queue, "ann")
    huge_seed = 2**64 + 1
    queue.add_images(job_id, picture("two", 1))
    queue.add_images(job_id, picture("one", 0, huge_seed))
    assert [image.id for image in queue.images(job_id)] == ["one", "two"]
    found = queue.find_image("one")
    assert (found.owner, found.job_id, found.image.seed) == ("ann", job_id, huge_seed)
    with pytest.raises(NotFoundError):
        queue.find_image("three")


def test_a_picture_made_again_after_a_crash_replaces_the_first(queue: JobQueue) -> None:
    job_id = submit(queue)
    queue.add_images(job_id, picture("lost"))
    queue.add_images(job_id, picture("kept"))
    assert [image.id for image in queue.images(job_id)] == ["kept"]


def test_an_unknown_job_is_not_found(queue: JobQueue) -> None:
    with pytest.raises(NotFoundError):
        queue.job("0" * 32)


def _submit_until_killed(path: str, acknowledged: "multiprocessing.Queue[str]") -> None:
    queue = JobQueue(Path(path), limit=10**6)
    while True:
        acknowledged.put(queue.submit(JobKind.GENERATE, "{}", "ann"))


def test_what_was_acknowledged_before_a_kill_is_there_afterwards(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    acknowledged: multiprocessing.Queue[str] = context.Queue()
    path = tmp_path / "jobs.sqlite3"
    process = context.Process(target=_submit_until_killed, args=(str(path), acknowledged))
    process.start()
    ids = [acknowledged.get(timeout=60) for _ in range(5)]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    queue = JobQueue(path)
    assert queue.pending()[:5] == tuple(ids)
    queue.close()
