"""Chromium, servers in processes of their own, and pages that report what went wrong in them."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
START_SECONDS = 90  # importing torch and gradio on a busy machine
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# what Gradio's client says when a page is reloaded or closed while it listens
HARMLESS = (
    "AbortError",
    "Connection errored out",
    "Method not implemented",
    "net::ERR_ABORTED",
    "Failed to fetch",
)

OpenPage = Callable[..., Page]


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
            deadline = time.monotonic() + START_SECONDS
            while not _answers(f"{address}/"):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the server did not start:\n{log.read_text('utf-8')[-3000:]}")
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


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
def painted_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page over a runner that paints 20 steps a second."""
    root, port = tmp_path_factory.mktemp("painted"), free_port()
    script = str(Path(__file__).parent / "painted_server.py")
    with running_server(
        [sys.executable, script, str(port), str(root), "0.05"], port, root / "log"
    ) as address:
        yield address


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Open pages in profiles of their own; any script error or foreign request fails the test."""
    problems: list[str] = []
    pages: list[Page] = []

    def opened(address: str, *, phone: bool = False, dark: bool = False, **options: object) -> Page:
        more = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if phone else {"viewport": DESKTOP}
        scheme = "dark" if dark else "light"
        context = chromium.new_context(color_scheme=scheme, **(more | options))  # type: ignore[arg-type]
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
        page.on(
            "console",
            lambda message: problems.append(message.text) if message.type == "error" else None,
        )
        page.on("request", lambda request: _note_foreign(request.url, address, problems))
        page.goto(address)
        page.wait_for_selector("#txt2img_prompt textarea")
        pages.append(page)
        return page

    yield opened
    for page in pages:
        with suppress(Exception):
            page.context.close()
    assert [problem for problem in problems if not any(word in problem for word in HARMLESS)] == []


def _note_foreign(url: str, address: str, problems: list[str]) -> None:
    if not url.startswith((address.split("?", maxsplit=1)[0].rstrip("/"), "data:", "blob:")):
        problems.append(f"request to another machine: {url}")
