"""The queue against a model of thirty lines, through random histories with crashes in them."""

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modules.domain.job import JobKind, JobState
from modules.exceptions import QueueFullError
from modules.jobs.queue import JobQueue, Outcome

LIMIT = 6
OWNERS = st.sampled_from(["ann", "bob", "cid"])


@dataclass
class Expected:
    owner: str
    state: str = "queued"
    paused: bool = False
    stopping: bool = False
    crashes: int = 0


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.queue = JobQueue(self.folder / "jobs.sqlite3", limit=LIMIT)
        self.jobs: dict[str, Expected] = {}  # in order of submission
        self.used: Counter[str] = Counter()

    def teardown(self) -> None:
        self.queue.close()
        shutil.rmtree(self.folder)

    def ids(self, *states: str) -> list[str]:
        return [job_id for job_id, job in self.jobs.items() if job.state in states]

    def next_expected(self) -> str | None:
        running = Counter(self.jobs[job_id].owner for job_id in self.ids("running"))
        waiting = [job_id for job_id in self.ids("queued") if not self.jobs[job_id].paused]
        owners = {self.jobs[job_id].owner for job_id in waiting}
        first = {owner: next(i for i in waiting if self.jobs[i].owner == owner) for owner in owners}
        places = list(self.jobs)
        return min(
            first.values(),
            key=lambda i: (running[self.jobs[i].owner], self.used[self.jobs[i].owner], places.index(i)),
            default=None,
        )

    @rule(owner=OWNERS)
    def submit(self, owner: str) -> None:
        active = {self.jobs[job_id].owner for job_id in self.ids("queued", "running")}
        if len(self.ids("queued")) >= LIMIT:
            try:
                self.queue.submit(JobKind.GENERATE, "{}", owner)
            except QueueFullError:
                return
            raise AssertionError("a full queue took a job")
        if owner not in active:
            level = min((self.used[o] for o in active), default=max(self.used.values(), default=0))
            self.used[owner] = max(self.used[owner], level)
        self.jobs[self.queue.submit(JobKind.GENERATE, "{}", owner)] = Expected(owner)

    @rule()
    def claim(self) -> None:
        expected = self.next_expected()
        job = self.queue.claim()
        assert (job.id if job else None) == expected
        if expected is not None:
            self.jobs[expected].state = "running"

    @precondition(lambda self: self.ids("running"))
    @rule(choice=st.randoms(use_true_random=False), seconds=st.integers(0, 50), ok=st.booleans())
    def finish(self, choice: object, seconds: int, ok: bool) -> None:
        job_id = choice.choice(self.ids("running"))  # type: ignore[attr-defined]
        self.queue.charge(job_id, seconds)
        self.used[self.jobs[job_id].owner] += seconds
        outcome = Outcome(JobState.DONE) if ok else Outcome(JobState.FAILED, error="no")
        assert self.queue.finish(job_id, outcome)
        self.jobs[job_id].state = outcome.state.value

    @precondition(lambda self: self.jobs)
    @rule(choice=st.randoms(use_true_random=False))
    def cancel(self, choice: object) -> None:
        job_id = choice.choice(list(self.jobs))  # type: ignore[attr-defined]
        job = self.jobs[job_id]
        assert self.queue.cancel_waiting(job_id) == (job.state == "queued")
        assert self.queue.ask_to_stop(job_id, "cancel") == (job.state == "running")
        if job.state == "queued":
            job.state = "cancelled"
        elif job.state == "running":
            job.stopping = True

    @precondition(lambda self: self.jobs)
    @rule(choice=st.randoms(use_true_random=False), paused=st.booleans())
    def hold(self, choice: object, paused: bool) -> None:
        job_id = choice.choice(list(self.jobs))  # type: ignore[attr-defined]
        active = self.jobs[job_id].state in ("queued", "running")
        assert self.queue.set_paused(job_id, paused) == active
        if active:
            self.jobs[job_id].paused = paused

    @precondition(lambda self: self.ids("queued", "running"))
    @rule(choice=st.randoms(use_true_random=False), to=st.sampled_from(["ann", "bob", "cid"]))
    def reorder(self, choice: object, to: str) -> None:
        own = [i for i in self.ids("queued") if self.jobs[i].owner == to]
        wanted = choice.sample(own, len(own))  # type: ignore[attr-defined]
        self.queue.reorder(to, wanted)
        places = iter(wanted)
        order = [next(places) if i in own else i for i in self.jobs]
        self.jobs = {i: self.jobs[i] for i in order}

    @rule()
    def shut_down_and_start(self) -> None:
        running = self.ids("running")
        for job_id in running:
            self.queue.release(job_id)
            self.jobs[job_id].state = "queued"
        self.queue.close()
        self.queue = JobQueue(self.folder / "jobs.sqlite3", limit=LIMIT)
        assert self.queue.requeue_running() == ()

    @rule(choice=st.randoms(use_true_random=False))
    def crash_and_start(self, choice: object) -> None:
        running = self.ids("running")
        held = choice.sample(running, choice.randint(0, len(running)))  # type: ignore[attr-defined]
        self.queue.hands.hold(held)
        self.queue._store.close()  # what was held stays noted, as when the process is killed
        self.queue = JobQueue(self.folder / "jobs.sqlite3", limit=LIMIT)
        again = self.queue.requeue_running()
        expected = []
        for job_id in running:
            job = self.jobs[job_id]
            if job.stopping:
                job.state = "cancelled"
            elif job.crashes + (job_id in held) >= 2:
                job.state = "failed"
            else:
                job.crashes += job_id in held
                job.state = "queued"
                expected.append(job_id)
        assert sorted(again) == sorted(expected)

    @invariant()
    def all_jobs_are_as_expected(self) -> None:
        for job_id, expected in self.jobs.items():
            job = self.queue.job(job_id)
            paused = expected.paused and expected.state in ("queued", "running")
            assert job.state.value == ("paused" if paused else expected.state)
            assert job.crashes == expected.crashes
        waiting = {job_id for job_id in self.ids("queued") if not self.jobs[job_id].paused}
        assert set(self.queue.pending()) == waiting


QueueMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestQueueFollowsItsModel = QueueMachine.TestCase
