"""The program itself as a process of its own, and the session that its one-time link gives."""

import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.processes import ROOT, START_SECONDS, free_port, running_server

__all__ = ["Product", "put_models", "running_product"]

EMBEDDED = ROOT / "models" / "Stable-diffusion" / "embedded.safetensors"


@dataclass(frozen=True)
class Product:
    """A running studio.

    Attributes:
        address: of its page.
        root: the folder of its data.
    """

    address: str
    root: Path
    _cookies: SimpleCookie

    def admit(self, profile: BrowserContext) -> None:
        """Let the owner of a browser profile in, as the person who started the studio."""
        profile.add_cookies(
            [
                {"name": name, "value": found.value, "url": self.address}
                for name, found in self._cookies.items()
            ]
        )


def put_models(root: Path) -> None:
    """Give a studio the embedded model and a damaged file before it starts."""
    models = root / "models" / "Stable-diffusion"
    models.mkdir(parents=True)
    for file in (EMBEDDED, EMBEDDED.with_suffix(".json")):
        shutil.copyfile(file, models / file.name)
    (models / "zz-damaged.safetensors").write_bytes(b"no checkpoint at all")


@contextmanager
def running_product(root: Path) -> Iterator[Product]:
    """A studio over a folder, killed at the end."""
    port, log = free_port(), root / "log"
    command = [sys.executable, "webui.py", "--data-dir", str(root), "--port", str(port), "--no-browser"]
    with running_server(command, port, log) as address:
        yield Product(address, root, _redeemed(_link_in(log)))


def _link_in(log: Path) -> str:
    """The one-time link, which is told a moment after the server has begun to answer."""
    deadline = time.monotonic() + START_SECONDS
    while not (found := re.search(r"http://\S+/login\?\S+(?=\s)", log.read_text("utf-8"))):
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.05)
    return found.group()


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: object, **named: object) -> None:
        return None


def _redeemed(link: str) -> SimpleCookie:
    """Use the one-time link up for the session's cookie."""
    opener = build_opener(_Stay)
    opener.addheaders = [("Accept", "text/html")]
    with pytest.raises(HTTPError) as redirect:  # one that is not followed arrives as an error
        opener.open(link, timeout=30)
    redirect.value.close()
    return SimpleCookie("; ".join(redirect.value.headers.get_all("Set-Cookie") or []))
