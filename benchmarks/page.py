"""How the page feels: what a person waits for, in a real browser. ``python -m benchmarks.page [--write]``.

The browser is Chromium without a screen; the program is started as a user starts it, with the embedded model.
"""

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.page_start import running_program
from benchmarks.report import add_page_options, publish
from benchmarks.results import Machine, this_machine
from modules.domain.principal import LOCAL
from modules.history.history import History
from modules.history.picture import NewPicture
from modules.settings.launch import Folders

__all__ = ["main"]

_ROOT = Path(__file__).resolve().parent.parent
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PROMPT = "#txt2img_prompt textarea"
_PICTURES = 50_000
_LARGE = 4096  # pixels of the side of the picture that is drawn on
_ROUNDS = 5
_TABS = ("img2img", "inpaint", "Extras", "PNG Info", "History", "Settings", "txt2img")
_QUERIES = ("", "apple", "cfg>6 castle", "model:m3 steps<=30", "seed:777")

# milliseconds from a click until the browser has drawn what it opened
_SWITCH = """async (name) => {
    const tabs = [...document.querySelectorAll('#tabs > .tab-wrapper button[role=tab]')];
    const tab = tabs.find((one) => one.textContent.trim() === name);
    const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const started = performance.now();
    tab.click();
    const panel = () => document.getElementById(tab.getAttribute('aria-controls'));
    do await drawn(); while (panel()?.offsetParent == null);
    return performance.now() - started;
}"""
# milliseconds from pressing Generate until the first preview is drawn, and between previews on average
_FIRST_PREVIEW = """() => new Promise((done) => {
    const image = document.querySelector('#txt2img_gallery .stage-image');
    let started, first, last, seen = 0;
    new MutationObserver((_, observer) => {
        if (image.src.startsWith('data:')) { seen += 1; last = performance.now(); first ??= last; }
        else if (seen && image.src.includes('files/')) {
            observer.disconnect();
            done([first - started, (last - first) / Math.max(1, seen - 1)]);
        }
    }).observe(image, { attributes: true, attributeFilter: ['src'] });
    started = performance.now();
    document.getElementById('txt2img_generate').click();
})"""
_SEARCH = """async (query) => {
    const started = performance.now();
    const answer = await fetch('api/v1/history?q=' + encodeURIComponent(query));
    await answer.json();
    if (!answer.ok) throw new Error(answer.status);
    return performance.now() - started;
}"""
# milliseconds from the end of a stroke until the field holds the mask that is sent
_STROKE = """() => new Promise((done) => {
    const field = document.querySelector('#inpaint_image .canvas-view').field;
    const mask = () => field.props.value.mask, before = mask();
    addEventListener('pointerup', () => {
        const started = performance.now();
        const look = () => {
            if (mask() === before) setTimeout(look, 1);
            else done([performance.now() - started, mask().length]);
        };
        look();
    }, { once: true });
})"""


@dataclass(frozen=True)
class Wait:
    """Something a person waits for: its name, seconds, and at most how many it should be."""

    name: str
    seconds: Sequence[float]
    aim: float

    def row(self) -> str:
        """A row of the table."""
        median = statistics.median(self.seconds)
        reached = "yes" if median <= self.aim else "**no**"
        times = " | ".join(f"{seconds * 1e3:.0f} ms" for seconds in (self.aim, median, max(self.seconds)))
        return f"| {self.name} | {times} | {reached} |"


def main(argv: Sequence[str]) -> int:
    """Measure, print the table, and put it into the page on performance with ``--write``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.page", description="Measure what people wait for."
    )
    add_page_options(parser)
    arguments = parser.parse_args(argv)
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="studio-") as name:
        folder = Path(name)
        _fill_history(folder)
        models = ("--ckpt-dir", str(_ROOT / "models" / "Stable-diffusion"))
        with running_program(folder, *models) as (address, _), _browser() as browser:
            waits = list(_measured(browser, address, folder))
    text = _table(machine, waits)
    publish(text, "page", arguments)
    return 0


def _measured(browser: Browser, address: str, folder: Path) -> Iterator[Wait]:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(address)
    page.wait_for_selector(_PROMPT)
    yield Wait("The page is usable, opened again", [_opened(page) for _ in range(_ROUNDS)], 1.5)
    first = {name: page.evaluate(_SWITCH, name) / 1e3 for name in _TABS}
    yield Wait("A tab is opened for the first time", list(first.values()), 0.2)
    again = [page.evaluate(_SWITCH, name) / 1e3 for _ in range(_ROUNDS) for name in _TABS]
    yield Wait("A tab is opened again", again, 0.2)
    yield from _previews(page)
    found = [page.evaluate(_SEARCH, query) / 1e3 for _ in range(_ROUNDS) for query in _QUERIES]
    yield Wait(f"A search in {_PICTURES:,} pictures", found, 0.1)
    yield from _strokes(page, folder)


def _opened(page: Page) -> float:
    """Seconds from asking for the page until its prompt takes text."""
    begun = time.perf_counter()
    page.reload(wait_until="commit")
    page.wait_for_selector(_PROMPT)
    page.locator(_PROMPT).fill("a red apple")
    return time.perf_counter() - begun


def _previews(page: Page) -> Iterator[Wait]:
    page.evaluate(_SWITCH, "txt2img")
    page.locator(_PROMPT).fill("a red apple")
    seen = [page.evaluate(_FIRST_PREVIEW) for _ in range(_ROUNDS + 1)][1:]  # the first one loads the model
    step = statistics.median(between for _, between in seen) / 1e3
    name = "The first preview is on screen (the aim: time between two previews + 150 ms)"
    yield Wait(name, [first / 1e3 for first, _ in seen], step + 0.15)


def _strokes(page: Page, folder: Path) -> Iterator[Wait]:
    picture = folder / "large.jpg"
    Image.new("RGB", (_LARGE, _LARGE), (40, 90, 160)).save(picture)
    page.evaluate(_SWITCH, "inpaint")
    page.locator("#inpaint_image .dropzone input[type=file]").set_input_files(picture)
    page.locator('#inpaint_image .canvas-view[data-ready="true"]').wait_for()
    box = page.locator("#inpaint_image .canvas-stage").bounding_box()
    if box is None:
        raise RuntimeError("the canvas is not on the page")
    packed, sent = list[float](), list[float]()
    for turn in range(_ROUNDS):
        page.evaluate(f"() => {{ window.stroke = ({_STROKE})(); }}")
        height = box["y"] + box["height"] * (turn + 1) / (_ROUNDS + 1)
        page.mouse.move(box["x"] + 40, height)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 40, height, steps=20)
        page.mouse.up()
        spent, length = page.evaluate("() => window.stroke")
        packed.append(spent / 1e3)
        sent.append(packed[-1] + _sending(page, int(length)))
    yield Wait(f"A stroke on {_LARGE}² pixels has reached the server", sent, 0.5)


def _sending(page: Page, length: int) -> float:
    """Seconds in which as many bytes travel to the server and an answer comes back."""
    script = """async (length) => {
        const body = JSON.stringify({ png: 'x'.repeat(length) }), started = performance.now();
        await fetch('api/v1/page', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
        return performance.now() - started;
    }"""
    return float(page.evaluate(script, length)) / 1e3


def _fill_history(folder: Path) -> None:
    """Pictures of the local user as the index knows them; no files."""
    dice, words = random.Random(1), ("castle", "apple", "night", "forest", "cloud", "river", "lamp", "robot")
    folders = Folders.below(folder)
    folders.data.mkdir()
    folders.outputs.mkdir()
    history = History(folders.outputs, folders.data)

    def picture(number: int) -> NewPicture:
        prompt = ", ".join(" ".join(dice.choices(words, k=2)) for _ in range(8))
        values = f"CFG scale: {number % 9}, Seed: {number}, Size: 64x64, Model: m{number % 5}"
        text = f"{prompt}\nSteps: 20, Sampler: Euler a, {values}"
        return NewPicture(
            f"id{number}", LOCAL.name, f"txt2img-images/{number:05}.png", "txt2img", 1.7e9 + number,
            64, 64, text, f"{number:064x}",
        )  # fmt: skip

    history.index.add(picture(number) for number in range(_PICTURES))
    history.index.store.mark_complete()
    history.close()


@contextmanager
def _browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise RuntimeError("there is no Chromium or Chrome on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _table(machine: Machine, waits: Sequence[Wait]) -> str:
    about = (
        f"{machine.date}: {machine.processor}, {machine.cores} cores, Chromium without a screen. "
        f"Load of the machine before the run: {machine.load_before}."
    )
    head = ["| what is waited for | aim | median | longest | reached |", "|---|---|---|---|---|"]
    return "\n".join([about, "", *head, *(wait.row() for wait in waits)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
