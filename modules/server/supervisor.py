"""A small parent process that starts the server again when it crashed. Standard library only.

The queue and the steps of running pictures are on disk, so a crash costs a pause. A server that cannot
even start is not tried for ever.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from modules.server.crash_report import write_report
from modules.server.lifecycle import EXIT_REFUSED, EXIT_RESTART, EXIT_STOPPED

__all__ = ["Supervisor", "is_restarted", "is_supervised"]

log = logging.getLogger(__name__)

_MARK = "STUDIO_SUPERVISED"  # holds the number of restarts
STOP_SECONDS = 20.0  # a server that was asked to stop and is still there after this is killed


def is_supervised() -> bool:
    """Whether this process was started by a supervisor."""
    return _MARK in os.environ


def is_restarted() -> bool:
    """Whether this process replaces a server that ended."""
    return os.environ.get(_MARK, "0") != "0"


class Supervisor:
    """Runs a command and starts it again when it crashes.

    Args:
        command: program and arguments.
        environment: variables for it; None hands on this process's own.
        steady_seconds: a server that ran so long had started properly.
        max_quick_failures: crashes in a row, each sooner than that, after which it is given up.
        pause: seconds before a restart.
        crash_folder: where reports of crashes go; None writes none.
        note: file in which the engine notes whose work it does, for the reports.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        steady_seconds: float = 60.0,
        max_quick_failures: int = 3,
        pause: float = 0.5,
        crash_folder: Path | None = None,
        note: Path = Path("queue.hands"),
    ) -> None:
        self._command = tuple(command)
        self._environment = dict(os.environ if environment is None else environment)
        self._steady_seconds = steady_seconds
        self._max_quick_failures = max_quick_failures
        self._pause = pause
        self._crash_folder = crash_folder
        self._note = note
        self._last_words: deque[str] = deque(maxlen=200)
        self._child: subprocess.Popen[bytes] | None = None
        self._stop_signals = 0

    def run(self) -> int:
        """Keep the server running until it ends on purpose; returns its exit status."""
        restore = self._take_signals()
        try:
            return self._keep_running()
        finally:
            restore()

    def _keep_running(self) -> int:
        quick_failures = 0
        starts = 0
        while True:
            started = time.monotonic()
            status = self._run_once(starts)
            starts += 1
            if self._stop_signals or status in (EXIT_STOPPED, EXIT_REFUSED):
                return status if status >= 0 else EXIT_STOPPED
            steady = time.monotonic() - started >= self._steady_seconds
            quick_failures = 0 if steady or status == EXIT_RESTART else quick_failures + 1
            if quick_failures >= self._max_quick_failures:
                self._report(status, time.monotonic() - started)
                log.error("the server ended %d times soon after its start; giving up", quick_failures)
                return status if status > 0 else 1
            if status != EXIT_RESTART:
                log.error("the server ended unexpectedly (%s); starting it again", _described(status))
                self._report(status, time.monotonic() - started)
                time.sleep(self._pause)

    def _run_once(self, starts: int) -> int:
        environment = {**self._environment, _MARK: str(starts)}
        # The server ends when this pipe closes, so it cannot outlive its supervisor. In a session of its
        # own it hears Ctrl+C from us alone, once, instead of from the terminal too.
        with subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as child:
            self._child = child
            listener = threading.Thread(target=self._listen, args=(child,), daemon=True)
            listener.start()
            if self._stop_signals:
                _ask_to_stop(child)
            try:
                return self._wait(child)
            finally:
                self._child = None
                listener.join(5)

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        """Hand on what the server says, and remember the last of it."""
        self._last_words.clear()
        for line in child.stderr or ():
            self._last_words.append(line.decode("utf-8", "replace"))
            with suppress(OSError, ValueError):  # nobody may be listening to us any more
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()

    def _report(self, status: int, seconds: float) -> None:
        if self._crash_folder is None:
            return
        words = list(self._last_words)
        path = write_report(self._crash_folder, _described(status), seconds, self._note, words)
        if path is not None:
            log.error("what is known of it is in %s", path)

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        deadline: float | None = None
        while True:
            try:
                return child.wait(0.25)
            except subprocess.TimeoutExpired:
                if self._stop_signals and deadline is None:
                    deadline = time.monotonic() + STOP_SECONDS
                if deadline is not None and time.monotonic() > deadline:
                    log.error("the server did not stop; killing it")
                    child.kill()

    def _take_signals(self) -> Callable[[], None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stop_signals += 1
            child = self._child
            if child is None:
                return
            if self._stop_signals > 1:
                child.kill()  # asked twice: at once
            else:
                _ask_to_stop(child)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore


def _ask_to_stop(child: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        child.terminate()
    elif child.stdin is not None:
        child.stdin.close()  # Windows knows no polite signal; the server watches this pipe


def _described(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
