"""How long the program takes from its start until a browser has the page."""

import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

__all__ = ["page_start", "running_program"]

_ROOT = Path(__file__).resolve().parent.parent
_READY = re.compile(r"ready: (http://\S+)")
_PATIENCE = 120.0


@contextmanager
def running_program(folder: Path, *arguments: str) -> Iterator[tuple[str, float]]:
    """The program, ready to answer, stopped at the end.

    Args:
        folder: for its data.
        arguments: more of its command line.

    Yields:
        The one-time address of its page, and the :func:`time.perf_counter` of its start.

    Raises:
        RuntimeError: it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, str(_ROOT / "webui.py"), "--port", str(port), "--no-browser",
        "--data-dir", str(folder), "--no-hashing", "--device", "cpu", *arguments,
    ]  # fmt: skip
    begun = time.perf_counter()
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=output)
        try:
            yield _address(server, log), begun
        finally:
            server.terminate()
            server.wait(_PATIENCE)


def page_start(checkpoint: Path) -> float:
    """Seconds from starting the program to the last byte of its page, the library files being in memory.

    Raises:
        RuntimeError: it does not start.
    """
    model = ("--ckpt-dir", str(checkpoint.parent), "--ckpt", checkpoint.name)
    with (
        tempfile.TemporaryDirectory(prefix="studio-") as folder,
        running_program(Path(folder), *model) as (address, begun),
    ):
        _fetch(address)
        return time.perf_counter() - begun


def _address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    """The one-time address of the page, from the log."""
    deadline = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        if found := _READY.search(log.read_text(encoding="utf-8")):
            return found.group(1)
        time.sleep(0.02)
    raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')[-600:]}")


def _fetch(address: str) -> None:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
    )
    with opener.open(address, timeout=_PATIENCE) as answer:
        if b"</html>" not in answer.read().lower():
            raise RuntimeError(f"{address} answered with no page")
