"""The tab Train as a person uses it; the training itself is proved without a browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

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
    expect(root.get_by_role("status")).to_contain_text("there is no such file")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.reload()
    _open(page, phone=phone)
    root.locator("[name=set]").fill(f"foxes {phone}")
    root.locator("[name=set]").press("Tab")
    expect(captions.last).to_have_value("a red fox in snow")
