"""A new user drops files of all families into the models folder, refreshes, and makes a picture with each."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from modules.imaging.metadata import read_infotext
from tests.browser.conftest import OpenPage, free_port, running_server
from tests.browser.studio_page import Studio
from tests.browser.test_product import redeemed
from tests.checkpoints.random_checkpoint import write_random_checkpoint

FAMILIES = ("sd1", "sd2", "sdxl")


@pytest.fixture(scope="module")
def empty_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Address, one-time link and root folder of a studio that has no checkpoint."""
    root, port = tmp_path_factory.mktemp("new"), free_port()
    command = [sys.executable, "webui.py", "--data-dir", str(root), "--port", str(port), "--no-browser"]
    log = root / "log"
    with running_server(command, port, log) as address:
        link = re.search(r"http://\S+/login\?\S+", log.read_text("utf-8"))
        assert link, log.read_text("utf-8")
        yield address, link.group(), root


def test_a_picture_with_each_family_that_was_dropped_in(
    empty_studio: tuple[str, str, Path], profiles: Callable[..., BrowserContext], open_page: OpenPage
) -> None:
    address, link, root = empty_studio
    context = profiles(phone=False, dark=False, name="families")
    context.add_cookies(
        [{"name": name, "value": found.value, "url": address} for name, found in redeemed(link).items()]
    )
    studio = Studio(open_page(address, profile="families"))
    for family in FAMILIES:
        write_random_checkpoint(root / "models" / "Stable-diffusion" / f"{family}.safetensors", family)
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
        studio.picture_of_new_job(180)
        assert studio.result_pixels().shape == (64, 64, 3)
        assert studio.result_pixels().std() > 0
        infotext, _ = read_infotext(studio.page.request.get(f"{studio.page.url}{studio.shown}").body())
        assert infotext is not None
        assert f"Model: {family}," in infotext
