"""The tab Train as a person uses it; how well something is learnt is proved without a browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.studio_page import Studio


def _open(page: Page, *, phone: bool) -> None:
    """Open the tab; on a phone it is in the menu behind the tabs that fit."""
    if not phone:
        page.get_by_role("tab", name="Train", exact=True).click()
        return
    page.locator("#tabs > .tab-wrapper .overflow-menu > button").click()
    page.locator("#tabs > .tab-wrapper .overflow-dropdown").get_by_text("Train", exact=True).click()
    expect(page.locator(".train-root")).to_be_visible()


@pytest.mark.parametrize("phone", [False, True])
def test_pictures_are_captioned_and_a_refusal_is_said(
    desk: Callable[..., Studio], tmp_path: Path, *, phone: bool
) -> None:
    page = desk(phone=phone).page
    _open(page, phone=phone)
    root = page.locator(".train-root")
    expect(root.locator("[name=preset] option").first).to_be_attached()
    root.locator("[name=set]").fill(f"foxes {phone}")
    root.locator("[name=set]").press("Tab")
    for name in ("red_fox", "grey-fox"):
        Image.new("RGB", (64, 64), "orange").save(tmp_path / f"{name}.png")
    root.locator(".train-add input").set_input_files(sorted(tmp_path.glob("*.png")))
    captions = root.locator(".train-grid textarea")
    expect(captions).to_have_count(2)
    expect(captions.last).to_have_value("red fox")
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        captions.last.fill("a red fox in snow")
        captions.last.blur()
    root.locator("[name=kind]").select_option("dreambooth")
    expect(root.locator("[name=class_prompt]")).to_be_visible()
    root.locator("[name=kind]").select_option("textual-inversion")
    expect(root.locator("[name=rank]")).to_be_hidden()
    root.locator("[name=name]").fill("my-fox")
    root.get_by_role("button", name="Start training").click()
    expect(root.get_by_role("alert")).to_contain_text("there is no such file")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.reload()
    _open(page, phone=phone)
    root.locator("[name=set]").fill(f"foxes {phone}")
    root.locator("[name=set]").press("Tab")
    expect(captions.last).to_have_value("a red fox in snow")


def _ready(studio: Studio, folder: Path, name: str, **numbers: int) -> Locator:
    """Fifteen pictures dropped into the tab, and a recipe that takes moments."""
    _open(studio.page, phone=False)
    root = studio.page.locator(".train-root")
    expect(root.locator("[name=preset] option").first).to_be_attached()
    root.locator("[name=set]").fill(name)
    root.locator("[name=set]").press("Tab")
    for index in range(15):
        Image.new("RGB", (64, 64), (16 * index, 90, 200)).save(folder / f"{index:02d}_blue_ball.png")
    _drop(root, sorted(folder.glob("*.png")))
    expect(root.locator(".train-grid img")).to_have_count(15)
    root.locator("[name=name]").fill(name)
    root.locator("[name=trigger]").fill("zorb")
    more = root.locator(".train-more")
    if more.get_attribute("open") is None:
        more.locator("summary").click()
    for field, value in {"resolution": 64, "batch": 1, "rank": 2, **numbers}.items():
        root.locator(f"[name={field}]").fill(str(value))
    return root


def _drop(root: Locator, paths: list[Path]) -> None:
    """Drop files as from the desktop."""
    root.evaluate(
        """(root, files) => {
            const carrier = new DataTransfer();
            const picture = ([name, bytes]) => new File([new Uint8Array(bytes)], name, { type: 'image/png' });
            for (const file of files) carrier.items.add(picture(file));
            const how = { bubbles: true, cancelable: true, dataTransfer: carrier };
            for (const name of ['dragover', 'drop']) root.dispatchEvent(new DragEvent(name, how));
        }""",
        [[path.name, list(path.read_bytes())] for path in paths],
    )


def _said(root: Locator) -> Locator:
    return root.get_by_role("status")


def test_pictures_become_a_lora_whose_tag_makes_a_picture(
    open_studio: Callable[..., Studio], tmp_path: Path
) -> None:
    studio = open_studio()
    root = _ready(studio, tmp_path, "learnt-ball", steps=4, sample_every=2)
    root.get_by_role("button", name="Start training").click()
    expect(root.get_by_label("Samples", exact=True).locator("img")).to_have_count(2)
    expect(_said(root)).to_have_text("Done. Write <lora:learnt-ball:1> zorb into a prompt.")
    expect(root.locator(".train-curve")).to_be_visible()
    root.get_by_role("button", name="Use it in txt2img").click()
    studio.expect_text("<lora:learnt-ball:1> zorb")
    studio.set_number("steps", 2)
    studio.picture_of_new_job()
    assert 'Lora hashes: "learnt-ball: ' in studio.infotext


def test_a_training_is_stopped_goes_on_and_is_removed(
    open_studio: Callable[..., Studio], tmp_path: Path
) -> None:
    studio = open_studio()
    root = _ready(studio, tmp_path, "stopped-ball", steps=5000, sample_every=0)
    stop = root.get_by_role("button", name="Stop and keep the result")
    line = root.get_by_role("list", name="Trainings that can go on").get_by_role("listitem")
    root.get_by_role("button", name="Start training").click()
    for _ in range(2):
        expect(_said(root)).to_contain_text(" of 5000, about")
        stop.click()
        expect(_said(root)).to_have_text("Done. Write <lora:stopped-ball:1> zorb into a prompt.")
        expect(line).to_contain_text("stopped-ball is not finished.")
        line.get_by_role("button", name="Continue").click()
        expect(root.get_by_role("button", name="Start training")).to_be_hidden()
    expect(_said(root)).to_contain_text(" of 5000, about")
    stop.click()
    expect(line).to_be_visible()
    studio.page.once("dialog", lambda dialog: dialog.accept())
    line.get_by_role("button", name="Remove").click()
    expect(line).to_have_count(0)
