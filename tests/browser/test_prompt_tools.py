from pathlib import Path

import pytest
import torch
from playwright.sync_api import Locator, expect
from safetensors.torch import save_file

from tests.browser.studio_page import Studio


@pytest.fixture(scope="module")
def _ink(painted_root: Path) -> None:
    """A LoRA named Ink, for whoever looks at the folders again."""
    folder = painted_root / "models" / "Lora"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"x.alpha": torch.tensor(1.0)}, folder / "ink.safetensors", {"ss_output_name": "Ink"})


def marked(studio: Studio, kind: str) -> Locator:
    """What has one kind of mark below the words of the prompt."""
    return studio.part("prompt").locator(f".prompt-mirror .{kind}")


def test_bands_show_where_the_chunks_fall(studio: Studio) -> None:
    studio.write("a red house BREAK a blue sky")
    expect(marked(studio, "chunk-0")).to_have_text(["a red house"])
    expect(marked(studio, "chunk-1")).to_have_text(["a blue sky"])
    studio.part("token_counter").locator("button").click()
    lines = studio.page.locator(".chunk-line")
    expect(lines).to_have_count(2)
    expect(lines.nth(1)).to_contain_text("3/75")
    studio.page.keyboard.press("Escape")
    expect(lines.first).to_be_hidden()


def test_words_in_pieces_and_unknown_tags_are_marked_and_explained(studio: Studio) -> None:
    studio.write("(a castle, xyzzyqua <lora:none:1>")
    expect(marked(studio, "is-unknown")).to_have_text(["<lora:none:1>"])
    expect(marked(studio, "in-pieces")).to_have_text(["xyzzyqua"])
    counter = studio.part("token_counter").locator("button.has-warning")
    counter.click()
    notes = studio.page.locator(".prompt-notes")
    expect(notes).to_contain_text("none")
    expect(notes).to_contain_text("xy + zzy + qua")
    expect(notes).to_contain_text("( )")


def test_marks_move_with_the_words_while_somebody_types(studio: Studio) -> None:
    studio.write("xyzzyqua")
    expect(marked(studio, "in-pieces")).to_have_text(["xyzzyqua"])
    studio.page.route("**/api/v1/prompts/map", lambda route: route.abort("aborted"))
    area = studio.part("prompt").locator("textarea")
    area.press("Home")
    area.press_sequentially("big ")
    studio.expect_text("big xyzzyqua")
    expect(marked(studio, "in-pieces")).to_have_text(["xyzzyqua"])
    studio.page.unroute("**/api/v1/prompts/map")


@pytest.mark.usefixtures("_ink")
def test_names_are_completed_from_the_keyboard(studio: Studio) -> None:
    studio.page.request.get(f"{studio.page.url}api/v1/networks?kind=lora&refresh=true")
    studio.page.evaluate("studio.forgetNames()")
    area = studio.part("prompt").locator("textarea")
    area.click()
    area.press_sequentially("a cat <lora:in")
    option = studio.page.get_by_role("option", name="Ink")
    option.wait_for()
    area.press("Escape")
    expect(option).to_be_hidden()
    area.press_sequentially("k")
    option.wait_for()
    area.press("Tab")
    studio.expect_text("a cat <lora:Ink:1>")
    expect(marked(studio, "is-known")).to_have_text(["<lora:Ink:1>"])


def test_a_style_is_made_from_the_prompts_applied_and_deleted(studio: Studio, painted_root: Path) -> None:
    studio.write("oil painting of {prompt}, thick strokes")
    studio.part("styles_edit_button").click()
    dialog = studio.page.get_by_role("dialog", name="Styles")
    dialog.get_by_role("button", name="Copy from the prompts").click()
    dialog.get_by_label("Name").fill("Oil")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("option", name="Oil")).to_be_visible()
    assert '"oil painting of {prompt}, thick strokes"' in (painted_root / "styles.csv").read_text("utf-8-sig")
    studio.page.keyboard.press("Escape")
    expect(studio.part("styles")).to_be_visible()

    studio.write("a cat")
    studio.part("styles").locator("input").click()
    studio.page.get_by_role("option", name="Oil").click()
    studio.page.keyboard.press("Escape")
    studio.part("style_apply").click()
    studio.expect_text("oil painting of a cat, thick strokes")
    studio.page.once("dialog", lambda question: question.accept())
    studio.part("styles_edit_button").click()
    dialog.get_by_role("option", name="Oil").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("option")).to_have_count(0)
