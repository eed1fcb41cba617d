"""Servers in processes of their own."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

__all__ = ["ROOT", "START_SECONDS", "free_port", "running_server", "wait_for_server"]

ROOT = Path(__file__).parents[2]
START_SECONDS = 240  # importing torch and gradio on a busy machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(command: list[str], port: int, log: Path) -> Iterator[str]:
    """A server as a process of its own, ready to answer, killed at the end."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            address = f"http://127.0.0.1:{port}"
            if not wait_for_server(f"{address}/", lambda: server.poll() is None):
                pytest.fail(f"the server did not start:\n{log.read_text('utf-8')[-3000:]}")
            yield address
        finally:
            server.kill()  # a polite end would wait for the pages that listen
            server.wait()


def wait_for_server(address: str, is_alive: Callable[[], bool] = lambda: True) -> bool:
    """Whether a server answers before it dies or the time is over."""
    deadline = time.monotonic() + START_SECONDS
    while not _answers(address):
        if not is_alive() or time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5):
            return True
    except URLError as error:
        return getattr(error, "code", None) is not None  # refused, but by a server that is up
    except OSError:
        return False
