"""A server that goes away and comes back under an open page."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.processes import ROOT, START_SECONDS, free_port, wait_for_server
from tests.browser.studio_page import Studio

PROMPT = "kept while the server is away"
NOTE_GREETING = """() => new MutationObserver(() => {
    const said = document.querySelector('.connection-banner')?.textContent;
    if (said?.includes('is back')) sessionStorage.setItem('greeted', 'yes');
}).observe(document, { subtree: true, childList: true })"""  # it stands for three seconds only
SCRIPT = str(Path(__file__).parent / "painted_server.py")


class Server:
    """A painted studio that can be killed and started again at the same address."""

    def __init__(self, root: Path) -> None:
        self._root, self._port = root, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, SCRIPT, str(self._port), str(self._root), "0.05"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    assert wait_for_server(f"{made.address}/")
    yield made
    made.kill()


def test_a_lost_server_is_told_and_found_again(server: Server, open_page: OpenPage) -> None:
    studio = Studio(open_page(server.address, loses_server=True))
    studio.page.add_init_script(f"({NOTE_GREETING})()")
    studio.page.evaluate(NOTE_GREETING)
    studio.set_number("steps", 150)
    studio.set_number("batch_count", 50)
    studio.write(PROMPT)
    studio.generate()
    studio.wait_until("running")
    server.kill()
    banner = studio.page.locator(".connection-banner")
    expect(banner).to_contain_text("does not answer")
    server.start()
    # Gradio may reload a page that was listening; what was typed is there again, and the job goes on
    studio.page.wait_for_function("sessionStorage.getItem('greeted')", timeout=START_SECONDS * 1000)
    studio.wait_until("running")
    expect(banner).to_have_count(0)
    expect(studio.part("prompt").locator("textarea")).to_have_value(PROMPT)
    studio.part("gallery").locator('.stage-image[src^="data:image/jpeg"]').wait_for()
    (job,) = studio.page.request.get(f"{server.address}/api/v1/queue").json()["active"]
    studio.page.request.post(
        f"{server.address}/api/v1/jobs/{job['id']}/interrupt"
    )  # a press may be lost in a reload
    studio.wait_until("done")


def test_a_reload_is_not_taken_for_a_lost_server(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.address, loses_server=True)
    page.add_init_script(f"({NOTE_GREETING})()")
    for milliseconds in (0, 100, 200, 400, 800):
        page.evaluate(f"setTimeout(() => location.reload(), {milliseconds})")
        with page.expect_navigation():
            pass
    page.wait_for_function("window.studio?.isReady")
    page.wait_for_timeout(1000)
    assert page.evaluate(
        "[sessionStorage.getItem('greeted'), sessionStorage.getItem('studio-server-away')]"
    ) == [None, None]
