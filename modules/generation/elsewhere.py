"""Long work of one picture in a thread of its own, while the device serves the others."""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from typing import TypeVar

from torch import Tensor

from modules.exceptions import JobInterrupted
from modules.generation.effects import HALT, Answer, Effect, Elsewhere
from modules.generation.sampling_pass import HaltedError

__all__ = ["run_elsewhere"]

AT_ONCE = 0.05  # seconds in which work without a network is mostly done; not worth leaving for

T = TypeVar("T")
Stop = Callable[[], bool]


def run_elsewhere(work: Callable[[Stop], T], *, otherwise: Tensor) -> Generator[Effect, Answer, T]:
    """Let a thread do ``work`` and wait for it without holding up other pictures.

    Args:
        work: is given a function that says whether to end early, by :class:`JobInterrupted`.
        otherwise: the latent that is the picture when its owner ends it meanwhile.

    Raises:
        HaltedError: the owner ended the picture.
        Exception: whatever ``work`` raised.
    """
    stop, future = threading.Event(), Future[T]()

    def do() -> None:
        try:
            future.set_result(work(stop.is_set))
        except BaseException as error:  # noqa: BLE001 - handed over to who waits
            future.set_exception(error)

    thread = threading.Thread(target=do, name="elsewhere", daemon=True)
    thread.start()
    try:
        wait([future], timeout=AT_ONCE)
        while not future.done():
            if (yield Elsewhere(future.done)) is HALT:
                raise HaltedError(otherwise)
        return future.result()
    except JobInterrupted as error:
        raise HaltedError(otherwise) from error
    finally:
        stop.set()
