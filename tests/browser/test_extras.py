"""The tab Extras as a person uses it."""

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from modules.imaging.metadata import encode_image
from tests.browser.studio_page import Studio


@pytest.fixture
def page(studio: Studio) -> Page:
    return studio.page


def choose(page: Page, control: str, value: str) -> None:
    box = page.locator(f"#{control} input")
    box.click()
    page.get_by_role("option", name=value, exact=True).click()


def results(page: Page, count: int) -> list[Image.Image]:
    """Pictures in the gallery, as files, once there are so many."""
    images = page.locator("#extras_gallery .results img")
    expect(images).to_have_count(count)
    addresses = images.evaluate_all("(images) => images.map((image) => image.src)")
    return [Image.open(io.BytesIO(page.request.get(address).body())) for address in addresses]


def test_a_made_picture_is_sent_to_the_extras_and_enlarged(page: Page) -> None:
    studio = Studio(page)
    studio.set_number("width", 128)
    studio.set_number("height", 64)
    studio.set_number("steps", 3)
    studio.picture_of_new_job()
    parameters = studio.infotext
    made = Image.open(io.BytesIO(page.request.get(f"{page.url}{studio.shown}").body()))
    studio.part("send_to_extras").click()
    page.locator('#extras_image .canvas-view[data-ready="true"]').wait_for()
    choose(page, "extras_upscaler_1", "Lanczos")
    page.locator("#extras_generate").click()
    expect(page.locator("#html_info_extras")).to_contain_text("Postprocess upscaler: Lanczos")
    shown = page.locator("#extras_gallery .results.large img")
    shown.wait_for()
    address = shown.evaluate("(image) => image.src")
    picture = Image.open(io.BytesIO(page.request.get(address).body()))
    assert picture.size == (4 * made.width, 4 * made.height)
    assert picture.info["parameters"].splitlines()[0] == parameters.splitlines()[0]
    assert "Postprocess upscale by: 4" in picture.info["extras"]


def test_a_batch_leaves_out_what_is_no_picture_and_makes_copies(page: Page, tmp_path: Path) -> None:
    names = ("first.png", "second.png", "broken.png")
    for name, colour in zip(names, ("teal", "olive", None), strict=True):
        content = b"no picture" if colour is None else encode_image(Image.new("RGB", (40, 20), colour), "png")
        (tmp_path / name).write_bytes(content)
    page.get_by_role("tab", name="Extras", exact=True).click()
    page.get_by_role("tab", name="Batch Process", exact=True).click()
    page.locator("#extras_image_batch input[type=file]").set_input_files([tmp_path / name for name in names])
    expect(page.locator("#extras_image_batch")).to_contain_text("broken")
    choose(page, "extras_upscaler_1", "Nearest")
    page.get_by_role("tab", name="Scale to", exact=True).click()
    page.locator("#extras_flips button").first.click()
    page.locator("#extras_generate").click()
    expect(page.locator("#html_info_extras [role=alert]")).to_be_visible()
    expect(page.locator("#html_info_extras")).to_contain_text("broken")
    sizes = [picture.size for picture in results(page, 4)]
    assert sizes == [(512, 512)] * 4
