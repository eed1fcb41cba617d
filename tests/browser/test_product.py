"""The whole product with the model that comes with it: page, server, engine, files.

``STUDIO_SCREENSHOTS=1`` writes the pictures of the page to ``docs/screenshots``.
"""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import BrowserContext, Page, expect

from modules.imaging.metadata import read_infotext
from tests.browser.processes import ROOT
from tests.browser.studio_page import Studio
from tests.browser.whole_product import Product

PROMPT = "a red apple"
BLUR_REACH = 10  # pixels over which the default mask blur of 4 fades


@pytest.fixture
def keep_screenshot() -> Callable[[Page, str], None]:
    """Save what the page looks like, if that is wanted."""
    folder = ROOT / "docs" / "screenshots"

    def keep(page: Page, name: str) -> None:
        if not os.environ.get("STUDIO_SCREENSHOTS"):
            return
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement?.blur()")
        page.screenshot(path=folder / f"{name}.png")

    return keep


def content(studio: Studio) -> bytes:
    """The file behind the picture that is shown."""
    return studio.page.request.get(f"{studio.page.url}{studio.shown}").body()


def previews_of_new_job(studio: Studio) -> int:
    """Make a picture; the number of previews that were drawn of it for the page, which alone watched."""
    studio.picture_of_new_job()
    answer = studio.page.request.get(f"{studio.page.url}api/v1/jobs/{studio.job}")
    return int(answer.json()["preview_version"])


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_prompt_becomes_a_picture_whose_file_makes_it_again(
    open_studio: Callable[..., Studio],
    keep_screenshot: Callable[[Page, str], None],
    product: Product,
    tmp_path: Path,
) -> None:
    studio = open_studio()
    studio.write(PROMPT)
    studio.set_number("seed", -1)  # no step of it is known, also when this test is tried again
    studio.record_previews()
    assert any(previews_of_new_job(studio) >= 5 for _ in range(3))  # a busy machine draws fewer at times
    assert studio.recorded_previews() >= 3  # a busy page leaves some out
    studio.set_number("seed", 1)
    studio.picture_of_new_job()
    keep_screenshot(studio.page, "txt2img")
    first = content(studio)
    infotext, _ = read_infotext(first)
    assert infotext == studio.infotext
    assert [path.read_bytes() for path in (product.root / "outputs").rglob("*.png")].count(first) == 1

    file = tmp_path / "dropped.png"
    file.write_bytes(first)
    again = open_studio(dark=True)
    again.drop_file(file)
    again.expect_text(PROMPT)
    again.expect_numbers(seed=1)
    again.picture_of_new_job()
    assert content(again) == first
    keep_screenshot(again.page, "txt2img-dark")


def test_only_the_inside_of_a_mask_changes(
    open_studio: Callable[..., Studio], keep_screenshot: Callable[[Page, str], None]
) -> None:
    studio = open_studio()
    studio.write(PROMPT)
    studio.set_number("seed", 1)
    studio.set_number("steps", 12)
    studio.picture_of_new_job()
    before = pixels(content(studio))
    studio.part("send_to_inpaint").click()
    inpaint = Studio(studio.page, "inpaint")
    inpaint.part("image").locator('.canvas-view[data-ready="true"]').wait_for()
    inpaint.expect_text(PROMPT)
    inpaint.expect_numbers(seed=1, steps=12)
    inpaint.stroke([(0.4, 0.4), (0.6, 0.45), (0.45, 0.55), (0.62, 0.62)])
    drawn = np.zeros(before.shape[:2], bool)
    for x, y in inpaint.painted():
        drawn[y, x] = True
    inpaint.write("a green leaf")
    inpaint.set_number("seed", 5)
    inpaint.picture_of_new_job()
    after = pixels(content(inpaint))
    reach = Image.fromarray(drawn).convert("L").filter(ImageFilter.MaxFilter(2 * BLUR_REACH + 1))
    outside = np.asarray(reach) == 0
    assert outside.any()
    assert np.array_equal(before[outside], after[outside])
    assert np.abs(before[drawn].astype(int) - after[drawn]).mean() > 2
    keep_screenshot(inpaint.page, "inpaint")


def test_an_empty_prompt_works_and_bad_checkpoints_are_one_sentence(
    open_studio: Callable[..., Studio],
) -> None:
    studio = open_studio()
    studio.set_number("steps", 4)
    checkpoint = studio.page.locator("#setting_sd_model_checkpoint input")
    good = checkpoint.input_value()
    for name, said in (("not there", "no checkpoint"), ("zz-damaged.safetensors", "zz-damaged")):
        checkpoint.fill(name)
        checkpoint.press("Enter")
        studio.part("generate").click()
        alert = studio.page.get_by_role("alert").filter(has_text=said)
        expect(alert).to_have_count(1)
        assert "Traceback" not in alert.inner_text()
    checkpoint.fill(good)
    checkpoint.press("Enter")
    studio.write("")
    studio.picture_of_new_job()


def test_the_phone_makes_a_picture(
    open_studio: Callable[..., Studio], keep_screenshot: Callable[[Page, str], None]
) -> None:
    studio = open_studio(phone=True)
    studio.write(PROMPT)
    studio.set_number("seed", 1)
    studio.picture_of_new_job()
    studio.page.evaluate("scrollTo(0, 0)")
    keep_screenshot(studio.page, "phone")


def test_a_stranger_gets_neither_page_nor_picture(
    product: Product, profiles: Callable[..., BrowserContext]
) -> None:
    stranger = profiles(phone=False, dark=False, name="stranger").new_page()
    stranger.goto(product.address)
    expect(stranger).to_have_url(re.compile("/login"))
    expect(stranger.locator("#txt2img_prompt")).to_have_count(0)
    stranger.close()
