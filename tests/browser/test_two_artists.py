"""Two artists side by side in two browsers, and a third person who is not logged in."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.processes import free_port, running_server
from tests.browser.shared_server import PEOPLE
from tests.browser.studio_page import Studio


@pytest.fixture(scope="module")
def shared_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root, port = tmp_path_factory.mktemp("shared"), free_port()
    script = str(Path(__file__).parent / "shared_server.py")
    with running_server(
        [sys.executable, script, str(port), str(root), "0.02"], port, root / "log"
    ) as address:
        yield address


def enter(browser: Browser, address: str, name: str) -> Page:
    """Log in with a browser of one's own."""
    page = browser.new_context().new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{address}/login")
    page.fill("#name", name)
    page.fill("#password", PEOPLE[name])
    page.click("button")
    page.wait_for_selector("#txt2img_prompt textarea")
    return page


def test_two_artists_work_side_by_side_and_a_stranger_sees_nothing(
    chromium: Browser, shared_url: str
) -> None:
    pages = {name: enter(chromium, shared_url, name) for name in PEOPLE}
    studios = {name: Studio(page) for name, page in pages.items()}
    for name, studio in studios.items():
        studio.write(f"a picture of {name}")
        studio.generate()
    for studio in studios.values():
        studio.wait_for_picture()
    addresses = {name: "/" + studio.shown.partition("?")[0] for name, studio in studios.items()}
    assert addresses["ann"] != addresses["bob"]

    def status(page: Page, path: str) -> int:
        answer: int = page.evaluate("(path) => fetch(path).then((answer) => answer.status)", path)
        return answer

    for name, other in (("ann", "bob"), ("bob", "ann")):
        own, foreign = addresses[name], addresses[other]
        assert status(pages[name], own) == 200
        assert status(pages[name], foreign) == 404
        listed = pages[name].evaluate("() => fetch('/api/v1/jobs').then((answer) => answer.text())")
        assert foreign.rpartition("/")[2] not in listed

    stranger = chromium.new_context().new_page()
    stranger.goto(shared_url)
    expect(stranger).to_have_url(f"{shared_url}/login")
    expect(stranger.locator("#txt2img_prompt")).to_have_count(0)
    for path in (*addresses.values(), "/api/v1/jobs", "/config", "/api/v1/queue", "/openapi.json"):
        assert status(stranger, path) == 401, path
    for page in (*pages.values(), stranger):
        page.context.close()
