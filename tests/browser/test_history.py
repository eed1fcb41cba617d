"""What was made is found again, compared, taken up and thrown away."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from modules.history.history import History
from tests.browser.conftest import PHONE
from tests.browser.studio_page import Studio, box_of
from tests.browser.test_accessibility import serious_problems
from tests.history.made import infotext_of, write_picture

PROMPTS = ("a red apple, on a table", "a green apple, on a table, rim light")


class HistoryTab:
    """The tab History of an open page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self) -> "HistoryTab":
        """Go to the tab, wherever the row of tabs keeps it."""
        self.page.evaluate(
            "[...document.querySelectorAll('#tabs button')]"
            ".filter((one) => one.textContent.trim() === 'History').forEach((one) => one.click())"
        )
        self.page.locator(".history-count", has_text="picture").wait_for()
        return self

    def find(self, text: str, count: int) -> None:
        """Search, and wait until so many are found."""
        box = self.page.locator(".history-query")
        if box.input_value() != text:
            with self.page.expect_response(lambda answer: _asks_for(answer.url, text)):
                box.fill(text)
        expected = "One picture" if count == 1 else f"{count} pictures"
        expect(self.page.locator(".history-count")).to_have_text(expected)

    def tile(self, prompt: str) -> Locator:
        return self.page.locator(f'.history-tile[aria-label^="{prompt}"]').first

    @property
    def tiles(self) -> Locator:
        return self.page.locator(".history-tile")

    def act(self, name: str) -> Locator:
        return self.page.locator(f'.history-root [data-act="{name}"]')

    def select(self, *prompts: str) -> None:
        for prompt in prompts:
            self.tile(prompt).click(modifiers=["Control"])


def _asks_for(address: str, text: str) -> bool:
    """Whether a request is the one that looks for a text in the history."""
    parts = urlsplit(address)
    return parts.path.endswith("/api/v1/history") and parse_qs(parts.query).get("q") == [text]


def generated(page: Page, word: str) -> HistoryTab:
    """The history after both prompts were made on the page, with a word of their own."""
    studio = Studio(page)
    for steps, prompt in enumerate(PROMPTS, 3):
        studio.write(f"{prompt}, {word}")
        studio.set_number("width", 128)
        studio.set_number("height", 128)
        studio.set_number("steps", steps)
        studio.set_number("seed", 5)
        studio.picture_of_new_job()
    return HistoryTab(page).open()


@pytest.fixture
def made(desk: Callable[..., Studio], painted_root: Path) -> Callable[..., HistoryTab]:
    """Puts pictures of both prompts, with a word of their own, into the history and opens it."""

    def make(word: str, *, phone: bool = False) -> HistoryTab:
        history = History(painted_root / "outputs", painted_root / "data")
        for place, prompt in enumerate(PROMPTS):
            text = infotext_of(f"{prompt}, {word}", Seed=5, Steps=3 + place)
            path = write_picture(painted_root / "outputs" / f"{word}-{place}.png", text, len(word) + place)
            history.add(path, "local", text, id=f"{word}-{place}")
        history.close()
        return HistoryTab(desk(phone=phone).page).open()

    return make


def test_two_pictures_are_found_compared_and_their_difference_applied(studio: Studio) -> None:
    history = generated(studio.page, "brambles")
    page = history.page
    history.find("apple bramb", 2)
    history.find("brambles -green seed:5 steps<=3", 1)
    expect(history.tiles).to_have_count(1)
    history.find("brambles", 2)

    history.select(*PROMPTS)
    history.act("compare").click()
    difference = page.locator("#compare_dialog .compare-difference")
    expect(difference.locator("del")).to_have_text(["red "])
    expect(difference.locator("ins")).to_have_text(["green ", ", rim light"])
    expect(difference.locator("tr.changed")).to_have_text(["Steps34"])
    assert serious_problems(page) == []

    page.get_by_role("radio", name="Slider").click()
    line = page.locator(".compare-line")
    before = box_of(line)
    page.locator(".compare-slider").press("ArrowRight")
    assert box_of(line)["x"] > before["x"]
    page.get_by_role("radio", name="Slider").press("ArrowRight")
    expect(page.get_by_role("radio", name="Blink")).to_be_checked()
    page.get_by_role("button", name="Show the other one").click()
    expect(page.locator(".compare-first img")).not_to_be_visible()

    page.keyboard.press("Escape")
    page.get_by_role("tab", name="txt2img", exact=True).click()
    studio.write("photo of a red apple, on a table, in snow")
    studio.set_number("steps", 11)
    history.open()
    history.act("compare").click()
    page.locator("#compare_apply").click()
    studio.expect_text("photo of a green apple, on a table, rim light, in snow")
    studio.expect_numbers(steps=4)


def test_a_picture_is_deleted_restored_starred_tagged_and_downloaded(
    made: Callable[..., HistoryTab],
) -> None:
    history = made("chestnuts")
    page = history.page
    history.find("chestnuts", 2)
    history.select(PROMPTS[0])
    history.act("delete").click()
    expect(history.tiles).to_have_count(1)
    page.get_by_role("button", name="Bin", exact=True).click()
    history.find("chestnuts", 1)
    expect(history.tile(PROMPTS[0])).to_be_visible()
    history.select(PROMPTS[0])
    history.act("restore").click()
    expect(
        page.get_by_text("The bin is empty.").or_(page.get_by_text("No picture is like that."))
    ).to_be_visible()
    page.get_by_role("button", name="Bin", exact=True).click()
    history.find("chestnuts", 2)

    history.select(*PROMPTS)
    history.act("star").click()
    expect(page.locator('.history-star[data-on="true"]')).to_have_count(2)
    history.act("tag").click()
    page.get_by_role("textbox", name="New tag").or_(page.get_by_role("combobox", name="New tag")).fill(
        "keep this"
    )
    page.keyboard.press("Enter")
    expect(page.locator(".history-tags .tag")).to_have_text(["keep this✕"])
    page.keyboard.press("Escape")
    with page.expect_download() as packed:
        history.act("download").click()
    with zipfile.ZipFile(io.BytesIO(Path(packed.value.path()).read_bytes())) as archive:
        assert len(archive.namelist()) == 2
    history.find('chestnuts tag:"keep this" is:starred', 2)


def test_a_picture_is_looked_at_and_sent_to_other_tabs_with_its_lineage(
    made: Callable[..., HistoryTab],
) -> None:
    history = made("hazelnuts")
    page = history.page
    history.find("hazelnuts", 2)
    history.tile(PROMPTS[0]).click()
    view = page.locator("#history_view")
    expect(view.locator(".view-parameters")).to_contain_text("Seed5")
    assert serious_problems(page) == []
    page.keyboard.press("ArrowLeft")
    expect(view.locator(".view-text").first).to_have_text(f"{PROMPTS[1]}, hazelnuts")
    view.get_by_role("button", name="Send to img2img").click()
    img2img = Studio(page, "img2img")
    page.locator('#img2img_image .canvas-view[data-ready="true"]').wait_for()
    img2img.expect_text(f"{PROMPTS[1]}, hazelnuts")
    img2img.write("the hazelnuts again")
    img2img.set_number("steps", 3)
    img2img.picture_of_new_job()

    history.open()
    history.find("hazelnuts again", 1)
    history.tile("the hazelnuts again").click()
    view.locator(".view-relatives button").click()
    expect(view.locator(".view-text").first).to_have_text(f"{PROMPTS[1]}, hazelnuts")
    expect(view.locator("section", has_text="Became").locator(".view-relatives button")).to_have_count(1)


def test_the_grid_is_used_with_the_keyboard_alone(made: Callable[..., HistoryTab]) -> None:
    history = made("walnuts")
    page = history.page
    history.find("walnuts", 2)
    page.locator(".history-query").press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator('.history-tile[aria-selected="true"]')).to_have_count(2)
    page.keyboard.press("c")
    expect(page.locator("#compare_dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".history-grid").focus()
    page.keyboard.press("Escape")
    expect(page.locator('.history-tile[aria-selected="true"]')).to_have_count(0)
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#history_view .view-text").first).to_have_text(f"{PROMPTS[1]}, walnuts")
    page.keyboard.press("Escape")
    expect(page.locator("#history_view")).not_to_be_visible()


def test_the_history_fits_a_phone(made: Callable[..., HistoryTab]) -> None:
    history = made("acorns", phone=True)
    page = history.page
    history.find("acorns", 2)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    history.tile(PROMPTS[0]).tap()
    box = box_of(page.locator("#history_view .view-stage"))
    assert (box["x"], box["width"]) == (0, PHONE["width"])
    page.get_by_role("button", name="Close").first.tap()
    expect(page.locator("#history_view")).not_to_be_visible()
