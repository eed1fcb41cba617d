"""A new user drops files of all families into the models folder, refreshes, and makes a picture with each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from modules.imaging.metadata import read_infotext
from tests.browser.conftest import OpenPage
from tests.browser.studio_page import Studio
from tests.browser.whole_product import Product, running_product
from tests.checkpoints.random_checkpoint import write_random_checkpoint

FAMILIES = ("sd1", "sd2", "sdxl")


@pytest.fixture
def empty_studio(tmp_path: Path) -> Iterator[Product]:
    """A studio that has no checkpoint but the program's."""
    with running_product(tmp_path) as product:
        yield product


def test_a_picture_with_each_family_that_was_dropped_in(
    empty_studio: Product, profiles: Callable[..., BrowserContext], open_page: OpenPage
) -> None:
    empty_studio.admit(profiles(phone=False, dark=False, name="families"))
    studio = Studio(open_page(empty_studio.address, profile="families"))
    for family in FAMILIES:
        write_random_checkpoint(
            empty_studio.root / "models" / "Stable-diffusion" / f"{family}.safetensors", family
        )
    studio.page.locator("#refresh_sd_model_checkpoint").click()
    chooser = studio.page.locator("#setting_sd_model_checkpoint input")
    for name, value in (("width", 64), ("height", 64), ("steps", 2), ("seed", 1)):
        studio.set_number(name, value)
    studio.write("a lighthouse at dawn")
    for family in FAMILIES:
        chooser.click()
        option = studio.page.get_by_role("option").filter(has_text=f"{family}.safetensors")
        expect(option).to_have_count(1)
        option.click()
        studio.picture_of_new_job()
        assert studio.result_pixels().shape == (64, 64, 3)
        assert studio.result_pixels().std() > 0
        infotext, _ = read_infotext(studio.page.request.get(f"{studio.page.url}{studio.shown}").body())
        assert infotext is not None
        assert f"Model: {family}," in infotext
