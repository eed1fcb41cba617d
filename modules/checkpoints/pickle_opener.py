"""Processes that open pickled files for this one, each file in a child of its own.

To import torch takes a process a second or more, to fork one that has done so a few milliseconds: a folder of
hundreds of small pickled files is read in seconds. What waits for files has never opened one itself.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["PickleOpener"]

_GATE = Path(__file__).with_name("pickle_gate.py")


@dataclass(frozen=True)
class _Waiting:
    """A process that waits for the next file, and the line to it."""

    process: subprocess.Popen[bytes]
    line: socket.socket

    @classmethod
    def start(cls) -> "_Waiting":
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-I", str(_GATE)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_bare_environment(),
                start_new_session=True,  # so that it can be ended together with its child
            )
        return cls(process, ours)

    def ask(self, request: bytes, seconds: float) -> bytes:
        """The answer in one line; empty when the process has ended."""
        self.line.settimeout(seconds)
        heard = b""
        with suppress(ConnectionError):
            self.line.sendall(request)
            while not heard.endswith(b"\n") and (part := self.line.recv(65536)):
                heard += part
        return heard

    def end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.line.close()
        self.process.wait()


class PickleOpener:
    """Opens pickled files in other processes, as many at once as threads ask."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        weakref.finalize(self, _end_all, self._waiting)

    def rewrite(
        self, source: Path, target: Path, mode: Literal["weights", "tree"], *, memory: int, seconds: int
    ) -> str | None:
        """Write the contents of a pickled file to a new safetensors file.

        Args:
            source: the pickled file.
            target: is written.
            mode: see :mod:`modules.checkpoints.pickle_gate`.
            memory: bytes that may be needed.
            seconds: of processor time that may be needed; of the clock twice as many.

        Returns:
            None when it was written, else why not, in one line.

        Raises:
            TimeoutError: it took too long and was given up.
        """
        request = json.dumps([str(source), str(target), mode, memory, seconds]).encode() + b"\n"
        while True:
            waiting, is_new = self._take()
            try:
                answer = waiting.ask(request, 2 * seconds)
            except TimeoutError:
                waiting.end()
                raise
            if answer:
                self._waiting.append(waiting)
                refused: str | None = json.loads(answer)
                return refused
            waiting.end()
            if is_new:  # one that has waited for long may have ended by itself
                return f"the process that opens files ended with status {waiting.process.returncode}"

    def _take(self) -> tuple[_Waiting, bool]:
        try:
            return self._waiting.pop(), False
        except IndexError:
            return _Waiting.start(), True


def _end_all(waiting: list[_Waiting]) -> None:
    while waiting:
        waiting.pop().end()


def _bare_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
    return {"OMP_NUM_THREADS": "1", **{name: os.environ[name] for name in kept if name in os.environ}}
