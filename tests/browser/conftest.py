"""Chromium, servers in processes of their own, and pages that report what went wrong in them."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).parents[2]
START_SECONDS = 90  # importing torch and gradio on a busy machine
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# what Gradio's client says when a page is reloaded or closed while it listens
HARMLESS = (
    "AbortError",
    "Connection errored out",
    "Unexpected error 404",  # the stream of a page that was gone before it was open
    "Method not implemented",
    "net::ERR_ABORTED",
    "Failed to fetch",
    "net::ERR_CONNECTION_REFUSED",  # a server that the test has stopped
    "net::ERR_INCOMPLETE_CHUNKED_ENCODING",
    "status of 422",  # a refused value is told beside its field
)

OpenPage = Callable[..., Page]

# a page forgets what earlier tests typed, but not across its own reloads
_FORGET_FORMS = """
if (!sessionStorage.getItem('opened')) {
    sessionStorage.setItem('opened', 'yes');
    const forms = Object.keys(localStorage).filter((key) => key.startsWith('studio-form:'));
    forms.forEach((key) => localStorage.removeItem(key));
}
"""


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
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    wanted = os.environ.get("STUDIO_CHROMIUM")
    found = wanted or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("there is no Chromium or Chrome; install one or set STUDIO_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def painted_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page that :func:`painted_url` serves."""
    return tmp_path_factory.mktemp("painted")


@pytest.fixture(scope="session")
def painted_url(painted_root: Path) -> Iterator[str]:
    """The page over a runner that paints 20 steps a second."""
    root, port = painted_root, free_port()
    script = str(Path(__file__).parent / "painted_server.py")
    with running_server(
        [sys.executable, script, str(port), str(root), "0.05"], port, root / "log"
    ) as address:
        yield address


@pytest.fixture(scope="session")
def profiles(chromium: Browser) -> Callable[..., BrowserContext]:
    """Browser profiles that keep their cache between tests, one for each kind of screen."""

    @cache
    def profile(*, phone: bool, dark: bool, name: str) -> BrowserContext:
        if phone:
            made = chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
        else:
            made = chromium.new_context(viewport=DESKTOP, color_scheme="dark" if dark else "light")
        made.set_default_timeout(30_000)
        return made

    return profile


@pytest.fixture
def open_page(profiles: Callable[..., BrowserContext]) -> Iterator[OpenPage]:
    """Open pages; any script error or request to another machine fails the test."""
    problems: list[str] = []
    pages: list[Page] = []

    def opened(
        address: str,
        *,
        phone: bool = False,
        dark: bool = False,
        profile: str = "",
        remembers: bool = False,
        loses_server: bool = False,
    ) -> Page:
        page = profiles(phone=phone, dark=dark, name=profile).new_page()
        if not remembers:
            page.add_init_script(_FORGET_FORMS)
        pages.append(page)
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
        if not loses_server:  # then the browser has much to complain of
            page.on(
                "console",
                lambda message: problems.append(message.text) if message.type == "error" else None,
            )
        page.on("request", lambda request: _note_foreign(request.url, address, problems))
        page.goto(address)
        page.wait_for_selector("#txt2img_prompt textarea")
        return page

    yield opened
    for page in pages:
        page.close()
    assert [problem for problem in problems if not any(word in problem for word in HARMLESS)] == []


def _note_foreign(url: str, address: str, problems: list[str]) -> None:
    if not url.startswith((address.split("?", maxsplit=1)[0].rstrip("/"), "data:", "blob:")):
        problems.append(f"request to another machine: {url}")
