"""Contestants in processes of their own, driven call by call.

Each has its own allocator, threads and peak of memory; since one call of one contestant follows one of the
next, a busy machine slows all of them alike, and the ratios hold.
"""

import importlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from benchmarks.ceilings import highest_rate
from benchmarks.contestant import Entry
from benchmarks.kinds import KINDS, Kind, make_work

__all__ = ["Answer", "Worker", "start_worker"]

_PATIENCE = 1800.0  # seconds for one call; the first of a compiled network is long


@dataclass(frozen=True)
class Answer:
    """What a call took, and what it returned."""

    seconds: float
    value: Any


class Worker:
    """A contestant in another process; see :func:`start_worker`."""

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self._process = process
        self._connection = connection

    def call(self, name: str, *arguments: object) -> Answer:
        """Let the contestant do something.

        Args:
            name: a method of the contestant, or ``ceiling``.
            arguments: a picture's side in pixels in the place of kind and work.

        Raises:
            RuntimeError: it failed; the text says why.
        """
        with suppress(BrokenPipeError):  # its end is noticed below
            self._connection.send((name, arguments))
        if not self._connection.poll(_PATIENCE):
            raise RuntimeError(f"{name} took longer than {_PATIENCE:.0f} s")
        try:
            seconds, value, error = self._connection.recv()
        except (EOFError, OSError) as ended:
            raise RuntimeError(f"{name}: the process is gone; it may have lacked memory") from ended
        if error:
            raise RuntimeError(f"{name} failed: {error}")
        return Answer(seconds, value)

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()


@contextmanager
def start_worker(entry: Entry, kind: str, checkpoint: Path) -> Iterator[Worker]:
    """Start a contestant's process; it is ended with the block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with _environment(entry.environment):
        process = context.Process(target=_serve, args=(there, entry, kind, checkpoint), daemon=True)
        process.start()
    there.close()  # so that its end is noticed here
    worker = Worker(process, here)
    try:
        yield worker
    finally:
        worker.stop()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have a child inherit these."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _serve(connection: Connection, entry: Entry, kind_name: str, checkpoint: Path) -> None:
    """The other process: make the contestant, then do what is asked."""
    module, _, factory = entry.factory.partition(":")
    kind, contestant = KINDS[kind_name], None
    while True:
        name, arguments = connection.recv()
        try:
            if contestant is None:
                contestant = getattr(importlib.import_module(module), factory)(**entry.options)
            ready = _in_full(name, arguments, kind, checkpoint)
            call: Callable[..., Any] = highest_rate if name == "ceiling" else getattr(contestant, name)
            _wait_for_device()
            begun = time.perf_counter()
            value = call(*ready, again=arguments[1]) if name == "text" else call(*ready)
            _wait_for_device()
            seconds = time.perf_counter() - begun
            connection.send((seconds, value.numpy() if isinstance(value, torch.Tensor) else value, ""))
        except Exception as error:  # noqa: BLE001 - the boundary: the other process says what went wrong
            connection.send((0.0, None, f"{type(error).__name__}: {error}"))


def _wait_for_device() -> None:
    """A GPU works on while Python goes on: times are taken when all is done."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _in_full(name: str, arguments: tuple[Any, ...], kind: Kind, checkpoint: Path) -> tuple[Any, ...]:
    """The arguments as the contestant's methods take them."""
    if name == "load":
        return checkpoint, kind
    if name == "picture":
        return kind, *arguments
    if name in {"unet", "decode", "text"}:
        return (make_work(kind, arguments[0]),)
    return arguments
