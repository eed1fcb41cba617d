import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, ask
from tests.browser.studio_page import Studio

INFOTEXT = (
    "a lighthouse\nNegative prompt: fog\nSteps: 7, Sampler: Euler a, CFG scale: 5, Seed: 77, Size: 128x64"
)


@pytest.fixture
def page(studio: Studio) -> Page:
    return studio.page


def write_picture(path: Path, infotext: str) -> Path:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", infotext)
    Image.new("RGB", (128, 64), "teal").save(path, "PNG", pnginfo=text)
    return path


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def test_png_info_shows_the_parameters_and_sends_them(page: Page, tmp_path: Path) -> None:
    open_tab(page, "PNG Info")
    page.locator("#pnginfo_image input[type=file]").set_input_files(
        write_picture(tmp_path / "a.png", INFOTEXT)
    )
    expect(page.locator("#html_info_pnginfo pre")).to_have_text(INFOTEXT)
    page.locator("#pnginfo_send_to_img2img").click()
    studio = Studio(page, "img2img")
    studio.expect_text("a lighthouse")
    studio.expect_numbers(steps=7, seed=77)
    page.locator('#img2img_image .canvas-view[data-ready="true"]').wait_for()
    open_tab(page, "PNG Info")
    page.locator("#pnginfo_send_to_extras").click()
    page.locator('#extras_image .canvas-view[data-ready="true"]').wait_for()


def test_markup_in_parameters_stays_text(page: Page, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=\"document.title='taken'\">\nSteps: 1, Seed: 1"
    open_tab(page, "PNG Info")
    page.locator("#pnginfo_image input[type=file]").set_input_files(
        write_picture(tmp_path / "b.png", hostile)
    )
    expect(page.locator("#html_info_pnginfo pre")).to_have_text(hostile)
    assert page.title() != "taken"


def test_a_file_that_is_no_picture_is_told_in_one_sentence(page: Page, tmp_path: Path) -> None:
    (tmp_path / "c.png").write_bytes(io.BytesIO(b"not a picture").getvalue())
    open_tab(page, "PNG Info")
    page.locator("#pnginfo_image input[type=file]").set_input_files(tmp_path / "c.png")
    expect(page.locator("#pnginfo_image .canvas-message")).to_be_visible()
    expect(page.locator("#html_info_pnginfo")).to_have_text("")


@pytest.fixture
def _default_settings(painted_url: str) -> Iterator[None]:
    """The tests share a server: what one of them has applied is gone after it, if it failed too."""
    yield
    ask("PATCH", f"{painted_url}/api/v1/settings", {"directories_filename_pattern": "[date]"})


@pytest.mark.usefixtures("_default_settings")
def test_a_setting_is_found_changed_applied_and_reset(page: Page) -> None:
    open_tab(page, "Settings")
    page.locator(".settings-root[data-state=ready]").wait_for()
    page.locator(".settings-search").fill("directory name pattern")
    row = page.locator("#setting_directories_filename_pattern_row")
    expect(page.locator(".settings-row:visible")).to_have_count(1)
    row.locator("input").fill("[seed]")
    expect(row.locator(".settings-reset")).to_be_visible()
    page.locator("#settings_submit").click()
    expect(page.locator(".settings-note")).to_have_text("1 setting applied")
    page.reload()
    open_tab(page, "Settings")
    expect(row.locator("input")).to_have_value("[seed]")
    row.locator(".settings-reset").click()
    page.locator("#settings_submit").click()
    expect(page.locator(".settings-note")).to_have_text("1 setting applied")
    expect(row.locator("input")).to_have_value("[date]")


def test_a_wrong_value_is_told_beside_its_setting(page: Page) -> None:
    open_tab(page, "Settings")
    row = page.locator("#setting_jpeg_quality_row")
    row.locator("input[type=number]").fill("500")
    page.locator("#settings_submit").click()
    expect(row.locator(".field-error")).to_be_visible()
    row.locator("input[type=number]").fill("80")
    expect(row.locator(".field-error")).to_have_count(0)


def test_a_finished_job_is_told_where_nobody_looks(open_page: OpenPage, painted_url: str) -> None:
    studio = Studio(open_page(painted_url))
    studio.set_number("steps", 4)
    studio.page.evaluate(
        """() => {
            window.told = [];
            window.Notification = class {
                static permission = 'granted';
                static requestPermission() { return Promise.resolve('granted'); }
                constructor(title, { body }) { window.told.push(body); }
            };
        }"""
    )
    studio.picture_of_new_job()
    studio.page.locator("#page_menu_button").click()
    studio.page.get_by_label("Tell me when a job is done").check()
    studio.page.keyboard.press("Escape")
    studio.picture_of_new_job()
    assert studio.page.evaluate("window.told") == []  # somebody looks
    studio.page.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    studio.generate()
    studio.page.wait_for_function("window.told.length")
    assert studio.page.evaluate("window.told") == ["Your picture is ready."]
