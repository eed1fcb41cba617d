"""Long work beside the device: others go on, the owner can end it, a crash is blamed on the right job."""

import threading
from collections.abc import Callable, Generator

import numpy as np
import pytest
import torch

from modules.generation.effects import Answer, Effect, FinishedImage
from modules.generation.elsewhere import run_elsewhere
from modules.generation.engine import Engine
from modules.generation.sampling_pass import HaltedError
from tests.generation.test_engine import Adder, Recorder, counting_image, engine_with

OTHERWISE = torch.full((1, 4, 2, 2), 7.0)
Work = Callable[[Callable[[], bool]], float]


def image_of(work: Work) -> Generator[Effect, Answer, FinishedImage]:
    """A picture whose value is what the work gives."""
    try:
        value = yield from run_elsewhere(work, otherwise=OTHERWISE)
    except HaltedError as halted:
        return FinishedImage(np.zeros((1, 1, 3), np.uint8), halted.latent, complete=False)
    return FinishedImage(np.zeros((1, 1, 3), np.uint8), torch.full((1, 4, 2, 2), value))


def run_until(engine: Engine, done: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(6000):
        engine.tick()
        if done():
            return
        pause.wait(0.01)
    pytest.fail("the engine never came to it")


@pytest.fixture
def go_on() -> threading.Event:
    return threading.Event()


def waiting_for(go_on: threading.Event) -> Work:
    def work(stop: Callable[[], bool]) -> float:
        while not go_on.wait(0.01):
            if stop():
                go_on.set()
        return 3.0

    return work


def test_other_pictures_go_on_meanwhile(go_on: threading.Event) -> None:
    away, here = Recorder(), Recorder(owner="bob")
    engine = engine_with(Adder())
    engine.start(image_of(waiting_for(go_on)), away, 0)
    engine.start(counting_image(0.0, 5), here, 0)
    run_until(engine, lambda: here.results)
    assert not away.results
    go_on.set()
    run_until(engine, lambda: away.results)
    assert float(away.results[0].latent.mean()) == 3


def test_the_owner_ends_the_work_and_keeps_what_there_is(go_on: threading.Event) -> None:
    heard = Recorder(ends=True)
    engine = engine_with(Adder())
    engine.start(image_of(waiting_for(go_on)), heard, 0)
    run_until(engine, lambda: heard.results)
    assert torch.equal(heard.results[0].latent, OTHERWISE)
    assert go_on.wait(60)  # the work was told


def test_a_picture_that_is_taken_out_stops_its_work(go_on: threading.Event) -> None:
    engine = engine_with(Adder())
    engine.start(image_of(waiting_for(go_on)), Recorder(), 0).stop()
    assert go_on.wait(60)


def test_a_failure_is_the_pictures_own() -> None:
    def broken(_stop: Callable[[], bool]) -> float:
        raise ValueError("broken")

    heard = Recorder()
    engine = engine_with(Adder())
    engine.start(image_of(broken), heard, 0)
    run_until(engine, lambda: heard.errors)
    assert str(heard.errors[0]) == "broken"


def test_work_that_is_done_at_once_does_not_leave(go_on: threading.Event) -> None:
    heard = Recorder()
    engine_with(Adder()).start(image_of(lambda _stop: 2.0), heard, 0)
    assert float(heard.results[0].latent.mean()) == 2


def test_jobs_that_work_elsewhere_are_in_hand_too(go_on: threading.Event) -> None:
    held: list[set[str]] = []
    engine = Engine(
        lambda key: Adder(),  # type: ignore[arg-type,return-value]
        batch_invariant=False,
        at_work=lambda jobs: held.append(set(jobs)),
    )
    heard = Recorder(job_id="away")
    engine.start(image_of(waiting_for(go_on)), heard, 0)
    engine.tick()
    assert held[-1] == {"away"}
    go_on.set()
    run_until(engine, lambda: heard.results)
    engine.tick()
    assert held[-1] == set()
