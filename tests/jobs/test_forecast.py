"""When a waiting job will be done, and how its owner moves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.domain.job import JobState
from modules.domain.request import GenerationRequest
from modules.exceptions import NotFoundError
from modules.jobs.board import JobBoard
from modules.jobs.queue import JobQueue, Outcome
from modules.jobs.service import JobService


def request(steps: int = 10) -> GenerationRequest:
    return GenerationRequest(prompt="a red apple", steps=steps)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[JobService]:
    service = JobService(JobQueue(tmp_path / "jobs.sqlite3"), JobBoard())
    yield service
    service.close()


def submit(service: JobService, owner: str, steps: int = 10) -> str:
    """A job whose steps are foreseen to take a second each."""
    return service.submit(request(steps), owner, seconds=float(steps))


def etas(service: JobService, owner: str) -> list[float | None]:
    return [view.eta_seconds for view in service.active(owner) if view.state is JobState.QUEUED]


def test_a_waiting_job_counts_those_before_it_and_itself(service: JobService) -> None:
    for steps in (10, 20, 5):
        submit(service, "ann", steps)
    assert etas(service, "ann") == [10, 30, 35]


def test_what_is_left_of_running_jobs_counts_too(service: JobService) -> None:
    first = submit(service, "ann", 10)
    submit(service, "ann", 20)
    service.claim()
    service.report(first, eta_seconds=4.0)
    assert etas(service, "ann") == [24]


def test_without_any_knowledge_there_is_no_number(tmp_path: Path) -> None:
    service = JobService(JobQueue(tmp_path / "jobs.sqlite3"), JobBoard())
    service.submit(request(), "ann")
    assert etas(service, "ann") == [None]
    assert service.forecast("ann") == (1, None)
    service.close()


def test_jobs_of_an_earlier_start_count_as_the_latest_jobs_took(tmp_path: Path) -> None:
    service = JobService(JobQueue(tmp_path / "jobs.sqlite3"), JobBoard())
    done = service.submit(request(), "ann")
    service.claim()
    service.charge(done, 8.0)
    service.finish(done, Outcome(JobState.DONE))
    service.submit(request(), "ann")
    assert etas(service, "ann") == [8]
    service.close()


def test_a_newcomer_does_not_wait_behind_all_of_anothers_jobs(service: JobService) -> None:
    for _ in range(5):
        submit(service, "ann", 10)
    assert service.forecast("ann") == (5, 50.0)
    ahead, wait = service.forecast("bob")
    assert (ahead, wait) == (1, 10.0)


def order(service: JobService) -> list[str]:
    waiting = [view for view in service.active("ann") if view.state is JobState.QUEUED]
    return [view.id for view in sorted(waiting, key=lambda view: view.position)]


@pytest.mark.parametrize(("place", "expected"), [(1, "cab"), (2, "acb"), (3, "abc"), (99, "abc")])
def test_a_waiting_job_goes_where_its_owner_wants_it(service: JobService, place: int, expected: str) -> None:
    ids = {name: submit(service, "ann") for name in "abc"}
    submit(service, "bob")
    service.move(ids["c"], place)
    assert order(service) == [ids[name] for name in expected]


def test_a_running_job_cannot_be_moved(service: JobService) -> None:
    running = submit(service, "ann")
    service.claim()
    with pytest.raises(NotFoundError):
        service.move(running, 1)
