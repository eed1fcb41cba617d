"""How long the program takes from its start until a browser has the page."""

import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

__all__ = ["page_start"]

_ROOT = Path(__file__).resolve().parent.parent
_READY = re.compile(r"ready: (http://\S+)")
_PATIENCE = 120.0


def page_start(checkpoint: Path) -> float:
    """Seconds from starting the program to the last byte of its page, the library files being in memory.

    Raises:
        RuntimeError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="studio-") as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            sys.executable, str(_ROOT / "webui.py"), "--port", str(port), "--no-browser",
            "--data-dir", folder, "--ckpt-dir", str(checkpoint.parent), "--ckpt", checkpoint.name,
            "--no-hashing", "--device", "cpu",
        ]  # fmt: skip
        begun = time.perf_counter()
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _fetch(_address(server, begun))
            return time.perf_counter() - begun
        finally:
            server.terminate()
            server.communicate(timeout=_PATIENCE)


def _address(server: "subprocess.Popen[str]", begun: float) -> str:
    """The one-time address of the page, from the log."""
    said = []
    for line in server.stderr or ():
        said.append(line)
        found = _READY.search(line)
        if found:
            return found.group(1)
        if time.perf_counter() - begun > _PATIENCE:
            break
    raise RuntimeError("the server did not start: " + "".join(said[-5:]))


def _fetch(address: str) -> None:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
    )
    with opener.open(address, timeout=_PATIENCE) as answer:
        if b"</html>" not in answer.read().lower():
            raise RuntimeError(f"{address} answered with no page")
