"""The measurements, one function each; every one is made for all contestants in turn."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.ceilings import decoder_work, unet_work
from benchmarks.contestant import CONTESTANTS, REFERENCE, Entry
from benchmarks.kinds import KINDS, Kind
from benchmarks.page_start import page_start
from benchmarks.results import Result
from benchmarks.workers import Worker, start_worker

__all__ = ["GPU_PARTS", "PARTS", "Bench"]

_PATIENT = CONTESTANTS["ours"].environment
STUDIO = Entry("studio", "benchmarks.studio:Studio", environment=_PATIENT)
CROWD = Entry("crowd", "benchmarks.crowd:Crowd", environment=_PATIENT)
_PICTURE_STEPS = 4
_USERS_STEPS = 2
_GPU_USERS_STEPS = 20
_SHORT_CALLS = 10  # in a round: each takes milliseconds, which differ much
_COSTS: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("step", "step", ()),
    ("request", "request", ("photograph", False)),
    ("generation", "generation", ("photograph",)),
    ("request, saved", "request", ("photograph", True)),
    ("request, noise", "request", ("noise", False)),
    ("preview", "preview", ()),
)


@dataclass
class Bench:
    """One run: contestants that are loaded so far, and what was measured.

    Attributes:
        entries: contestants by name.
        rounds: how often each is measured, after one call to warm up.
        checkpoint: the random checkpoint; tiny: a small one, for what does not depend on the networks.
        say: told what is being done.
        device: "cpu" or "cuda".
    """

    entries: Mapping[str, Entry]
    kind_name: str
    rounds: int
    checkpoint: Path
    tiny: Path
    stack: ExitStack
    say: Callable[[str], None] = lambda _text: None
    device: str = "cpu"
    results: list[Result] = field(default_factory=list)
    _workers: dict[str, Worker] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """The shapes of the compared model."""
        return KINDS[self.kind_name]

    def on_device(self, entry: Entry) -> Entry:
        """The same on the device that is measured."""
        return replace(entry, options={**entry.options, "device": self.device})

    def workers(self) -> Mapping[str, Worker]:
        """All contestants, loaded; how long the first loading takes is measured too."""
        for name, entry in self.entries.items():
            if name not in self._workers:
                self.say(f"loading {entry.label}")
                worker = self.stack.enter_context(start_worker(entry, self.kind_name, self.checkpoint))
                worker.call("memory")  # imports are no part of loading
                loading = worker.call("load").seconds
                self._workers[name] = worker
                self.results.append(Result("load", name, (loading,)))
        return self._workers

    def compare(
        self, part: str, call: str, *arguments: object, rounds: int | None = None, warm_up: bool = True
    ) -> None:
        """Let every contestant do the same, one after another, round by round; who fails is left out."""
        workers = dict(self.workers())
        outputs: dict[str, object] = {}
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        for turn in range(0 if warm_up else 1, (rounds or self.rounds) + 1):
            self.say(f"{part}: round {turn}" if turn else f"{part}: warming up")
            for name, worker in list(workers.items()):
                try:
                    answer = worker.call(call, *arguments)
                except RuntimeError as error:
                    self.say(f"{name} is left out of {part}: {error}")
                    del workers[name], seconds[name]
                    continue
                if turn:
                    seconds[name].append(answer.seconds)
                outputs[name] = answer.value
        for name, times in seconds.items():
            distance = _distance(outputs[name], outputs.get(REFERENCE))
            self.results.append(Result(part, name, tuple(times), distance=distance))


def _distance(output: object, reference: object) -> float | None:
    """Relative L2 of an output against the reference's."""
    if not isinstance(output, np.ndarray) or not isinstance(reference, np.ndarray):
        return None
    wide = reference.astype(np.float64)
    return float(np.linalg.norm(output - wide) / np.linalg.norm(wide))


def _steps(bench: Bench) -> None:
    for side in bench.kind.sides:
        bench.compare(f"unet {side}", "unet", side)


def _decode(bench: Bench) -> None:
    bench.compare(
        f"decode {bench.kind.sides[0]}", "decode", bench.kind.sides[0], rounds=max(1, bench.rounds - 1)
    )


def _text(bench: Bench) -> None:
    side = bench.kind.sides[-1]
    bench.compare("text, new", "text", side, False, rounds=3 * bench.rounds)
    bench.compare("text, again", "text", side, True, rounds=3 * bench.rounds)


def _picture(bench: Bench) -> None:
    side = bench.kind.sides[-1]
    bench.compare(
        f"picture {side}, {_PICTURE_STEPS} steps", "picture", side, _PICTURE_STEPS, rounds=1, warm_up=False
    )


def _whole_picture(bench: Bench) -> None:
    side, steps = bench.kind.sides[0], bench.kind.steps
    bench.compare(f"picture {side}, {steps} steps", "picture", side, steps)


def _ceilings(bench: Bench) -> None:
    worker = list(bench.workers().values())[-1]
    bench.say("highest rates of products and convolutions")
    for dtype in ("float32", "bfloat16"):
        rate = worker.call("ceiling", dtype).value
        bench.results.append(Result(f"ceiling {dtype}", "machine", (), amount=rate))
    for side in bench.kind.sides:
        bench.results.append(Result(f"work unet {side}", "machine", (), amount=unet_work(bench.kind, side)))
    side = bench.kind.sides[0]
    bench.results.append(Result(f"work decode {side}", "machine", (), amount=decoder_work(bench.kind, side)))


def _memory(bench: Bench) -> None:
    for name, worker in bench.workers().items():
        with suppress(RuntimeError):  # it was left out before
            bench.results.append(Result("memory", name, (), amount=worker.call("memory").value))


def _overhead(bench: Bench) -> None:
    bench.say("the program without its networks")
    side = KINDS["sd15"].sides[0]
    with start_worker(bench.on_device(STUDIO), "tiny", bench.tiny) as studio:
        studio.call("load")
        for name, call, arguments in _COSTS:
            seconds = [studio.call(call, side, *arguments).value for _ in range(_SHORT_CALLS * bench.rounds)]
            bench.results.append(Result(f"overhead: {name}", "ours", tuple(seconds)))


def _users(bench: Bench) -> None:
    bench.say("four users")
    steps = _USERS_STEPS if bench.device == "cpu" else _GPU_USERS_STEPS
    with start_worker(bench.on_device(CROWD), bench.kind_name, bench.checkpoint) as crowd:
        crowd.call("load")
        for side in bench.kind.sides:
            seconds: dict[str, list[float]] = {"in turn": [], "together": []}
            for turn in range(bench.rounds + 1):
                bench.say(f"four users {side}: round {turn}" if turn else f"four users {side}: warming up")
                for name, times in seconds.items():
                    needed = crowd.call(name.replace(" ", "_"), side, steps).seconds
                    times.extend([needed] if turn else [])
            for name, times in seconds.items():
                bench.results.append(Result(f"users {side}, {name}", "ours", tuple(times)))


def _start(bench: Bench) -> None:
    bench.say("start of the page")
    seconds = [page_start(bench.tiny) for _ in range(2)]
    bench.results.append(Result("page start", "ours", tuple(seconds[1:])))  # the first fills the disk cache


PARTS: Mapping[str, Callable[[Bench], None]] = {
    # first, as the contestants leave little of the memory to others
    "overhead": _overhead,
    "start": _start,
    "users": _users,
    "ceilings": _ceilings,
    "unet": _steps,
    "text": _text,
    "decode": _decode,
    "picture": _picture,
    "memory": _memory,
}
"""What can be asked for with ``--only``, in this order."""

GPU_PARTS: Mapping[str, Callable[[Bench], None]] = {
    "overhead": _overhead,
    "users": _users,
    "unet": _steps,
    "text": _text,
    "decode": _decode,
    "picture": _whole_picture,
    "memory": _memory,
}
"""The same for a GPU."""
