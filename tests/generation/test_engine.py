"""The engine's loop, with coroutines that add numbers instead of networks that draw."""

import itertools
from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from modules.diffusion.sampling import SamplerState
from modules.exceptions import DeviceMemoryError, NumericalError
from modules.generation.effects import (
    HALT,
    Answer,
    Effect,
    FinishedImage,
    ModelKey,
    PassDone,
    Predict,
    StepEnd,
)
from modules.generation.engine import Engine, ImageTask

KEY = ModelKey("model.safetensors")


class Adder:
    """A network that adds one to each row, and remembers the batch sizes it saw."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, x: Tensor, *rest: Tensor | None, token_merging: float, deep: object) -> Tensor:
        self.batches.append(len(x))
        return x + 1


@dataclass
class Recorder:
    """A listener that writes down what it hears."""

    halt_at: int = 0
    ends: bool = False
    job_id: str = "job"
    owner: str = "ann"
    seconds: float = 0.0
    ended_steps: list[tuple[int, int]] = field(default_factory=list)
    results: dict[int, FinishedImage] = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)

    def started(self, task: ImageTask) -> None:
        pass

    def step_ended(self, task: ImageTask, step: StepEnd) -> bool:
        self.ended_steps.append((task.index, step.step))
        return self.halt_at != 0 and step.step >= self.halt_at

    def pass_ended(self, task: ImageTask, done: PassDone) -> None:
        pass

    def wants_end(self) -> bool:
        return self.ends

    def finished(self, task: ImageTask, image: FinishedImage) -> None:
        self.results[task.index] = image

    def failed(self, task: ImageTask, error: Exception) -> None:
        self.errors[task.index] = error

    def used_device(self, seconds: float) -> None:
        self.seconds += seconds


def counting_image(
    start: float,
    steps: int,
    rows: int = 1,
    size: int = 2,
    fail_at: int = -1,
    merging: float = 0.0,
    key: ModelKey = KEY,
) -> Generator[Effect, Answer, FinishedImage]:
    x = torch.full((rows, 4, size, size), start)
    for step in range(steps):
        if step == fail_at:
            raise ValueError("broken")
        answer = yield Predict(key, x, torch.zeros(rows), torch.zeros(rows, 77, 8), token_merging=merging)
        assert isinstance(answer, Tensor)
        x = answer
        if (yield StepEnd("first", SamplerState(x, step + 1), x, step + 1, step + 1, steps)) is HALT:
            return FinishedImage(np.zeros((1, 1, 3), np.uint8), x, complete=False)
    return FinishedImage(np.zeros((1, 1, 3), np.uint8), x)


def run(engine: Engine) -> None:
    while engine.tick():
        pass


def engine_with(adder: Adder, *, batch_invariant: bool = False, max_rows: int = 16) -> Engine:
    return Engine(lambda key: adder, batch_invariant=batch_invariant, max_rows=max_rows)  # type: ignore[arg-type,return-value]


def test_images_of_one_shape_share_network_calls() -> None:
    adder, heard = Adder(), Recorder()
    engine = engine_with(adder)
    for index in range(3):
        engine.start(counting_image(float(index), 5, rows=2), heard, index)
    run(engine)
    assert adder.batches[:3] == [6] * 3  # then it is measured whether shorter calls cost less
    assert {index: float(image.latent[0, 0, 0, 0]) for index, image in heard.results.items()} == {
        0: 5,
        1: 6,
        2: 7,
    }


def test_a_single_image_hands_its_text_on_as_it_is() -> None:
    text = torch.zeros(2, 77, 8)
    seen: list[bool] = []

    class Reader(Adder):
        def predict(self, x: Tensor, *rest: Tensor | None, token_merging: float, deep: object) -> Tensor:
            seen.append(rest[1] is text)
            return x + 1

    def image() -> Generator[Effect, Answer, FinishedImage]:
        for _ in range(2):
            yield Predict(KEY, torch.zeros(2, 4, 2, 2), torch.zeros(2), text)
        return FinishedImage(np.zeros((1, 1, 3), np.uint8), torch.zeros(1, 4, 2, 2))

    engine, heard = engine_with(Reader()), Recorder()
    engine.start(image(), heard, 0)
    run(engine)
    assert seen == [True, True]
    assert list(heard.results) == [0]


def test_images_with_another_token_merging_get_their_own_call() -> None:
    adder, heard = Adder(), Recorder()
    engine = engine_with(adder)
    for index, ratio in enumerate((0.0, 0.5, 0.5)):
        engine.start(counting_image(0.0, 1, merging=ratio), heard, index)
    run(engine)
    assert sorted(adder.batches) == [1, 2]


def test_a_batch_invariant_engine_gives_each_image_its_own_call() -> None:
    adder, heard = Adder(), Recorder()
    engine = engine_with(adder, batch_invariant=True)
    for index in range(3):
        engine.start(counting_image(0.0, 2, rows=2), heard, index)
    run(engine)
    assert adder.batches == [2] * 6
    assert heard.ended_steps == [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2)]  # they take turns


def test_images_of_different_shapes_do_not_share_a_call() -> None:
    adder, heard = Adder(), Recorder()
    engine = engine_with(adder)
    engine.start(counting_image(0.0, 2, size=2), heard, 0)
    engine.start(counting_image(0.0, 2, size=3), heard, 1)
    run(engine)
    assert adder.batches == [1] * 4


def test_the_row_limit_splits_a_group_and_serves_the_longest_waiting_first() -> None:
    adder, heard = Adder(), Recorder()
    engine = engine_with(adder, max_rows=4)
    for index in range(3):
        engine.start(counting_image(0.0, 2, rows=2), heard, index)
    run(engine)
    assert max(adder.batches) == 4
    assert heard.ended_steps[:3] == [(0, 1), (1, 1), (2, 1)]


def test_an_image_that_joins_late_starts_at_the_next_tick() -> None:
    adder, heard = Adder(), Recorder()
    engine = engine_with(adder, batch_invariant=True)
    engine.start(counting_image(0.0, 100), heard, 0)
    for _ in range(10):
        engine.tick()
    engine.start(counting_image(0.0, 2), heard, 1)
    ticks = 0
    while 1 not in heard.results:
        engine.tick()
        ticks += 1
    assert ticks <= 4


def test_a_failing_image_leaves_the_others_alone() -> None:
    adder, heard = Adder(), Recorder()
    engine = engine_with(adder)
    engine.start(counting_image(0.0, 3, fail_at=1), heard, 0)
    engine.start(counting_image(0.0, 3), heard, 1)
    run(engine)
    assert isinstance(heard.errors[0], ValueError)
    assert heard.results[1].latent.mean() == 3
    assert engine.tasks == ()


def test_halt_ends_an_image_with_what_there_is() -> None:
    adder, heard = Adder(), Recorder(halt_at=2)
    engine = engine_with(adder)
    engine.start(counting_image(0.0, 10), heard, 0)
    run(engine)
    assert not heard.results[0].complete
    assert heard.results[0].latent.mean() == 2


def test_a_stopped_image_is_heard_of_no_more() -> None:
    adder, heard = Adder(), Recorder()
    engine = engine_with(adder)
    task = engine.start(counting_image(0.0, 10), heard, 0)
    engine.tick()
    task.stop()
    run(engine)
    assert heard.results == {}
    assert heard.errors == {}
    assert len(adder.batches) == 1


def test_a_paused_image_holds_still_and_then_goes_on() -> None:
    adder, heard = Adder(), Recorder()
    engine = engine_with(adder)
    task = engine.start(counting_image(0.0, 3), heard, 0)
    task.paused = True
    assert not engine.tick()
    task.paused = False
    run(engine)
    assert heard.results[0].latent.mean() == 3


@dataclass
class Clock:
    """Time that only network calls take: a second a row."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class SlowAdder(Adder):
    """A saturated device: each row of a call costs a second."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def predict(self, x: Tensor, *rest: Tensor | None, token_merging: float, deep: object) -> Tensor:
        self._clock.now += len(x)
        self.batches.append(len(x))
        return x + 1


def fair_engine() -> tuple[Engine, SlowAdder]:
    clock = Clock()
    adder = SlowAdder(clock)
    return Engine(lambda key: adder, batch_invariant=True, clock=clock), adder  # type: ignore[arg-type,return-value]


def ticks_until_done(engine: Engine, heard: Recorder) -> int:
    ticks = 0
    while not heard.results and engine.tick():
        ticks += 1
    assert heard.results
    return ticks + 1


@pytest.mark.parametrize("images", [1, 8])
def test_owners_share_the_device_evenly_however_many_images_each_has(images: int) -> None:
    engine, _ = fair_engine()
    for index in range(images):
        engine.start(counting_image(0.0, 100), Recorder(owner="ann"), index)
    for _ in range(30):
        engine.tick()
    bob = Recorder(owner="bob")
    engine.start(counting_image(0.0, 20), bob, 0)
    assert ticks_until_done(engine, bob) <= 2 * 20 + 1


def test_a_dear_image_gets_fewer_turns_than_a_cheap_one() -> None:
    engine, _ = fair_engine()
    ann, bob = Recorder(owner="ann"), Recorder(owner="bob")
    engine.start(counting_image(0.0, 100, rows=4), ann, 0)
    engine.start(counting_image(0.0, 20, rows=1), bob, 0)
    ticks_until_done(engine, bob)
    assert 4 <= len(ann.ended_steps) <= 6
    assert abs(ann.seconds - bob.seconds) <= 4


def test_who_comes_back_after_a_pause_has_no_credit() -> None:
    engine, _ = fair_engine()
    ann = Recorder(owner="ann")
    engine.start(counting_image(0.0, 200), ann, 0)
    for _ in range(100):
        engine.tick()
    bob = Recorder(owner="bob")
    engine.start(counting_image(0.0, 50), bob, 0)
    for _ in range(20):
        engine.tick()
    assert 9 <= len(bob.ended_steps) <= 11


def test_other_adapters_wait_until_their_owner_lags_behind() -> None:
    used: list[ModelKey] = []
    adder = SlowAdder(Clock())

    def use(key: ModelKey) -> SlowAdder:
        used.append(key)
        return adder

    engine = Engine(use, batch_invariant=True, clock=adder._clock)  # type: ignore[arg-type]
    ann, bob = Recorder(owner="ann"), Recorder(owner="bob")
    engine.start(counting_image(0.0, 30, key=KEY), ann, 0)
    engine.start(counting_image(0.0, 30, key=ModelKey("other.safetensors")), bob, 0)
    run(engine)
    switches = sum(before != after for before, after in itertools.pairwise(used))
    assert switches <= 4
    assert ann.results
    assert bob.results


def test_a_network_error_is_thrown_into_the_image_that_may_go_on_without_it() -> None:
    class Broken(Adder):
        def predict(self, x: Tensor, *rest: Tensor | None, token_merging: float, deep: object) -> Tensor:
            raise DeviceMemoryError("too large")

    def careful() -> Generator[Effect, Answer, FinishedImage]:
        x = torch.zeros(1, 4, 2, 2)
        try:
            yield Predict(KEY, x, torch.zeros(1), torch.zeros(1, 77, 8))
        except DeviceMemoryError:
            return FinishedImage(np.zeros((1, 1, 3), np.uint8), x, complete=False)
        raise AssertionError

    heard = Recorder()
    engine = engine_with(Broken())
    engine.start(careful(), heard, 0)
    run(engine)
    assert not heard.results[0].complete


def test_of_a_common_call_only_the_guilty_image_fails() -> None:
    class Sensitive(Adder):
        def predict(self, x: Tensor, *rest: Tensor | None, token_merging: float, deep: object) -> Tensor:
            if float(x.max()) >= 100:
                raise NumericalError("U-Net", "NaN")
            return x + 1

    heard = Recorder()
    engine = engine_with(Sensitive())
    for index, start in enumerate((0.0, 99.0, 1.0)):
        engine.start(counting_image(start, 4), heard, index)
    run(engine)
    assert set(heard.results) == {0, 2}
    assert isinstance(heard.errors[1], NumericalError)


def test_the_note_of_who_is_in_hand_names_the_jobs_of_each_call() -> None:
    noted: list[tuple[str, ...]] = []
    adder = Adder()
    engine = Engine(
        lambda key: adder,  # type: ignore[arg-type,return-value]
        batch_invariant=False,
        at_work=lambda job_ids: noted.append(tuple(job_ids)),
    )
    for index, job in enumerate("ab"):
        engine.start(counting_image(0.0, 2), Recorder(job_id=job), index)
    engine.tick()
    assert ("a", "b") in noted
    run(engine)
    assert noted[-1] == ()


def test_a_network_error_fails_the_images_of_its_call_only() -> None:
    class Broken(Adder):
        def predict(self, x: Tensor, *rest: Tensor | None, token_merging: float, deep: object) -> Tensor:
            if x.shape[-1] == 3:
                raise RuntimeError("no memory")
            return x + 1

    adder, heard = Broken(), Recorder()
    engine = engine_with(adder)
    engine.start(counting_image(0.0, 2, size=3), heard, 0)
    engine.start(counting_image(0.0, 2, size=2), heard, 1)
    run(engine)
    assert str(heard.errors[0]) == "no memory"
    assert set(heard.results) == {1}


@pytest.mark.parametrize("batch_invariant", [True, False])
def test_interleaving_does_not_change_what_an_image_becomes(batch_invariant: bool) -> None:
    adder, together = Adder(), Recorder()
    engine = engine_with(adder, batch_invariant=batch_invariant)
    engine.start(counting_image(0.25, 4), together, 0)
    engine.tick()
    engine.start(counting_image(0.5, 3), together, 1)
    run(engine)
    alone = Recorder()
    engine.start(counting_image(0.25, 4), alone, 0)
    run(engine)
    assert torch.equal(together.results[0].latent, alone.results[0].latent)
