"""Chromium, servers in processes of their own, and pages that report what went wrong in them."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.browser.processes import START_SECONDS, free_port, running_server
from tests.browser.studio_page import Studio
from tests.browser.whole_product import Product, put_models, running_product

PATIENCE = 120_000  # milliseconds in which something must appear, on a busy machine too
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
_REPORT = pytest.StashKey[pytest.TestReport]()

# a page knows nothing of earlier tests, but remembers across its own reloads
_FORGET = """
if (!sessionStorage.getItem('opened')) {
    localStorage.clear();
    sessionStorage.setItem('opened', 'yes');
}
"""
_IS_OPEN = "['txt2img', 'img2img', 'inpaint'].every((tab) => window.studio?.form?.isSettled(tab))"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    wanted = os.environ.get("STUDIO_CHROMIUM")
    found = wanted or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("there is no Chromium or Chrome; install one or set STUDIO_CHROMIUM")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def painted_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page that :func:`painted_url` serves."""
    return tmp_path_factory.mktemp("painted")


@pytest.fixture(scope="session")
def painted_server(painted_root: Path) -> Iterator[str]:
    """The page over a runner that paints 20 steps a second."""
    root, port = painted_root, free_port()
    script = str(Path(__file__).parent / "painted_server.py")
    with running_server(
        [sys.executable, script, str(port), str(root), "0.05"], port, root / "log"
    ) as address:
        yield address


@pytest.fixture
def painted_url(painted_server: str) -> Iterator[str]:
    """Address of a page without a model; no job outlives the test."""
    yield painted_server
    deadline = time.monotonic() + START_SECONDS
    while active := ask("GET", f"{painted_server}/api/v1/queue")["active"]:
        assert time.monotonic() < deadline, "jobs do not end"
        for job in active:
            with suppress(HTTPError):  # it has just ended by itself
                ask("POST", f"{painted_server}/api/v1/jobs/{job['id']}/cancel")
        time.sleep(0.05)


def ask(method: str, address: str, body: dict | None = None) -> dict:
    """What a server of a test answers, asked past the page."""
    data = json.dumps(body).encode() if body else None
    request = Request(address, data, {"content-type": "application/json"}, method=method)
    with urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The program itself with the embedded model and a damaged file."""
    root = tmp_path_factory.mktemp("product")
    put_models(root)
    with running_product(root) as product:
        yield product


@pytest.fixture(scope="session")
def profiles(chromium: Browser) -> Callable[..., BrowserContext]:
    """Browser profiles that keep their cache between tests, one for each kind of screen.

    Their users want nothing to move: a page that is at rest is measured, judged and photographed.
    """

    @cache
    def profile(*, phone: bool, dark: bool, name: str) -> BrowserContext:
        if phone:
            made = chromium.new_context(
                viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2, reduced_motion="reduce"
            )
        else:
            made = chromium.new_context(
                viewport=DESKTOP, color_scheme="dark" if dark else "light", reduced_motion="reduce"
            )
        made.set_default_timeout(PATIENCE)
        return made

    return profile


@pytest.fixture(scope="session")
def problems() -> list[str]:
    """What pages complained of since the test began."""
    return []


@pytest.fixture(autouse=True)
def _nothing_to_complain_of(problems: list[str]) -> Iterator[None]:
    """Any script error or request to another machine fails the test."""
    problems.clear()
    yield
    assert [problem for problem in problems if not any(word in problem for word in HARMLESS)] == []


def _opened(
    context: BrowserContext, address: str, problems: list[str], *, loses_server: bool = False
) -> Page:
    page = context.new_page()
    page.add_init_script(_FORGET)
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    if not loses_server:  # then the browser has much to complain of
        page.on(
            "console",
            lambda message: problems.append(message.text) if message.type == "error" else None,
        )
    page.on("request", lambda request: _note_foreign(request.url, address, problems))
    page.goto(address)
    page.wait_for_selector("#txt2img_prompt textarea")
    page.wait_for_function(_IS_OPEN)
    return page


def _note_foreign(url: str, address: str, problems: list[str]) -> None:
    if not url.startswith((address.split("?", maxsplit=1)[0].rstrip("/"), "data:", "blob:")):
        problems.append(f"request to another machine: {url}")


@pytest.fixture
def open_page(profiles: Callable[..., BrowserContext], problems: list[str]) -> Iterator[OpenPage]:
    """Open pages that are closed when the test is over."""
    pages: list[Page] = []

    def opened(
        address: str,
        *,
        phone: bool = False,
        dark: bool = False,
        profile: str = "",
        loses_server: bool = False,
    ) -> Page:
        context = profiles(phone=phone, dark=dark, name=profile)
        pages.append(_opened(context, address, problems, loses_server=loses_server))
        return pages[-1]

    yield opened
    for page in pages:
        page.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know how their test went."""
    report = yield
    if report.when == "call":
        item.stash[_REPORT] = report
    return report


@pytest.fixture(scope="session")
def _desks() -> dict[tuple[object, ...], Page]:
    """The pages that tests share."""
    return {}


@pytest.fixture
def shared_page(
    request: pytest.FixtureRequest,
    _desks: dict[tuple[object, ...], Page],
    profiles: Callable[..., BrowserContext],
    problems: list[str],
) -> Iterator[Callable[..., Studio]]:
    """Use a page that is open already, its form as at the beginning; after a failure all are opened anew.

    Opening a page takes seconds of both cores. What changes a page as a whole has to open its own.
    """

    def shared(address: str, *, name: str, phone: bool = False, dark: bool = False) -> Studio:
        kind = (name, phone, dark)
        if kind in _desks:
            return Studio(_desks[kind]).begin_anew()
        _desks[kind] = _opened(profiles(phone=phone, dark=dark, name=name), address, problems)
        return Studio(_desks[kind])

    yield shared
    report = request.node.stash.get(_REPORT, None)
    if report is None or not report.passed:
        while _desks:
            _desks.popitem()[1].close()


@pytest.fixture
def desk(shared_page: Callable[..., Studio], painted_url: str) -> Callable[..., Studio]:
    """The shared page without a model, on a desktop or a phone."""
    return partial(shared_page, painted_url, name="desk")


@pytest.fixture
def studio(desk: Callable[..., Studio]) -> Studio:
    """The tab txt2img of the shared page on a desktop."""
    return desk()


@pytest.fixture
def open_studio(
    shared_page: Callable[..., Studio], product: Product, profiles: Callable[..., BrowserContext]
) -> Callable[..., Studio]:
    """The shared page of the program itself, for the person who started it."""

    def opened(*, phone: bool = False, dark: bool = False) -> Studio:
        product.admit(profiles(phone=phone, dark=dark, name="product"))
        return shared_page(product.address, name="product", phone=phone, dark=dark)

    return opened
