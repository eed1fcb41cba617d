import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from playwright.sync_api import Locator, expect
from safetensors.torch import save_file

from tests.browser.conftest import PHONE
from tests.browser.studio_page import Studio, box_of

MANY = 130  # more than are made at once


@pytest.fixture(scope="module")
def models(painted_root: Path) -> None:
    """Many LoRAs in two folders; one has a preview and notes. And an embedding."""
    folder = painted_root / "models" / "Lora" / "art"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(MANY):
        save_file({"x.alpha": torch.tensor(1.0)}, folder / f"brush_{number:03}.safetensors")
    (folder.parent / "people").mkdir(exist_ok=True)
    ink = folder.parent / "people" / "portrait.safetensors"
    tags = json.dumps({"10_a": {"soft light": 12}})
    save_file({"x.alpha": torch.tensor(1.0)}, ink, {"ss_tag_frequency": tags})
    Image.new("RGB", (64, 96), (200, 60, 90)).save(ink.with_name("portrait.preview.png"))
    notes = {"activation text": "soft portrait", "preferred weight": 0.7, "negative text": "harsh"}
    ink.with_suffix(".json").write_text(json.dumps(notes), "utf-8")
    embeddings = painted_root / "embeddings"
    embeddings.mkdir(exist_ok=True)
    save_file({"emb_params": torch.zeros(2, 768)}, embeddings / "sparkle.safetensors")


pytestmark = pytest.mark.usefixtures("models")


def open_cards(studio: Studio, kind: str) -> Locator:
    """Open a tab of cards and look at the folders again."""
    pane = studio.part("extra_tabs")
    grid = pane.locator(".cards-grid")
    pane.get_by_role("tab", name=kind, exact=True).click()
    expect(grid).to_have_attribute("aria-busy", "false")
    pane.get_by_label("Search cards").fill("")
    with studio.page.expect_response("**/api/v1/networks?*refresh=true*"):
        pane.get_by_role("button", name="Refresh").click()
    expect(grid).to_have_attribute("aria-busy", "false")
    return pane


def test_a_click_adds_a_lora_with_its_texts_and_another_takes_it_away(studio: Studio) -> None:
    pane = open_cards(studio, "LoRA")
    pane.get_by_label("Search cards").fill("portrait")
    expect(pane.locator(".card")).to_have_count(1)
    expect(pane.locator(".card img")).to_have_js_property("naturalWidth", 64)
    studio.write("a woman")
    card = pane.locator(".card-use")
    card.click()
    studio.expect_text("a woman <lora:portrait:0.7> soft portrait")
    studio.expect_text("(harsh:1)", "neg_prompt")
    expect(card).to_have_attribute("aria-pressed", "true")
    card.click()
    studio.expect_text("a woman")
    studio.expect_text("", "neg_prompt")
    expect(card).to_have_attribute("aria-pressed", "false")


def test_many_cards_are_made_as_they_are_scrolled_to(studio: Studio) -> None:
    pane = open_cards(studio, "LoRA")
    cards = pane.locator(".card")
    cards.first.wait_for()
    made = cards.count()
    assert 0 < made < MANY
    cards.last.scroll_into_view_if_needed()
    studio.page.wait_for_function(f"document.querySelectorAll('#txt2img_extra_tabs .card').length > {made}")


def test_folders_search_and_order_narrow_the_cards_down(studio: Studio) -> None:
    pane = open_cards(studio, "LoRA")
    pane.locator(".cards-folders summary").click()
    pane.get_by_role("treeitem", name="people").click()
    expect(pane.locator(".card")).to_have_count(1)
    pane.get_by_role("treeitem", name="All folders").click()
    pane.get_by_label("Search cards").fill("brush 12")
    expect(pane.locator(".card")).to_have_count(12)  # 012, 112 and 120 to 129
    pane.get_by_label("Order of the cards").select_option("Name")
    pane.get_by_role("button", name="Descending").click()
    expect(pane.locator(".card b").first).to_have_text("brush_129")


def test_notes_are_edited_and_a_picture_becomes_the_preview(studio: Studio, painted_root: Path) -> None:
    studio.set_number("width", 128)
    studio.set_number("height", 128)
    studio.set_number("steps", 2)
    studio.picture_of_new_job()
    pane = open_cards(studio, "LoRA")
    pane.get_by_label("Search cards").fill("brush_007")
    expect(pane.locator(".card")).to_have_count(1)
    pane.locator(".card-more").click()
    dialog = studio.page.get_by_role("dialog", name="brush_007")
    dialog.get_by_role("button", name="Use the picture that is shown").click()
    expect(dialog.locator(".card-picture img")).to_have_js_property("naturalWidth", 128)
    dialog.get_by_label("Description").fill("broad strokes")
    dialog.get_by_role("button", name="Save").click()
    expect(pane.locator(".card small")).to_have_text("broad strokes")
    folder = painted_root / "models" / "Lora" / "art"
    assert json.loads((folder / "brush_007.json").read_text("utf-8"))["description"] == "broad strokes"
    with Image.open(folder / "brush_007.preview.png") as preview:
        assert preview.size == (128, 128)


def test_training_tags_go_into_the_prompt(studio: Studio) -> None:
    pane = open_cards(studio, "LoRA")
    pane.get_by_label("Search cards").fill("portrait")
    expect(pane.locator(".card")).to_have_count(1)
    pane.locator(".card-more").click()
    studio.page.locator(".card-tags button").click()
    studio.expect_text("soft light")


def test_an_embedding_goes_into_the_prompt_that_was_used_last(studio: Studio) -> None:
    pane = open_cards(studio, "Textual Inversion")
    studio.part("neg_prompt").locator("textarea").focus()
    pane.locator(".card-use").click()
    studio.expect_text("sparkle", "neg_prompt")
    assert studio.text() == ""


def test_a_card_chooses_the_checkpoint(studio: Studio) -> None:
    pane = open_cards(studio, "Checkpoints")
    chosen = studio.page.locator("#setting_sd_model_checkpoint input")
    other = pane.locator('.card-use[aria-pressed="false"]').first
    name = other.locator("b").inner_text()
    assert not chosen.input_value().startswith(name)
    other.click()
    expect(chosen).to_have_value(re.compile(f"^{re.escape(name)}"))


def test_cards_fit_a_phone(desk: Callable[..., Studio]) -> None:
    studio = desk(phone=True)
    pane = open_cards(studio, "LoRA")
    pane.locator(".card").first.wait_for()
    assert studio.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    pane.locator(".card-more").first.tap()
    assert box_of(studio.page.locator(".card-dialog"))["width"] <= PHONE["width"]
