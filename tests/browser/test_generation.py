import re
from pathlib import Path

import pytest
from playwright.sync_api import Request, expect

from tests.browser.conftest import OpenPage
from tests.browser.studio_page import Studio, box_of

NOT_THE_FIRST = re.compile(r"Picture ([2-9]|\d\d) of 50")


@pytest.fixture
def studio(studio: Studio) -> Studio:
    studio.set_number("width", 128)
    studio.set_number("height", 128)
    return studio


def test_the_picture_forms_in_place(studio: Studio) -> None:
    stage = studio.part("gallery").locator(".stage")
    before = box_of(stage)
    studio.write("a red apple in place")
    studio.set_number("steps", 100)
    studio.record_previews()
    studio.page.keyboard.press("Control+Enter")
    expect(studio.parameters).to_contain_text("a red apple in place")
    studio.wait_for_picture()
    assert studio.recorded_previews() >= 5
    assert box_of(stage) == before


def test_escape_stops_and_keeps_what_is_finished(studio: Studio) -> None:
    studio.set_number("steps", 10)
    studio.set_number("batch_count", 50)
    studio.generate()
    studio.part("gallery").locator(".thumb img").first.wait_for()
    studio.page.keyboard.press("Escape")
    studio.wait_for_picture()
    expect(studio.part("generate")).to_be_visible()
    assert studio.part("gallery").locator(".thumb").count() < 50


def test_skip_goes_on_with_the_next_picture(studio: Studio) -> None:
    studio.set_number("steps", 150)
    studio.set_number("batch_count", 50)  # lasts as long as the slowest machine needs to look
    studio.generate()
    studio.wait_until("running")
    studio.part("skip").click()
    expect(studio.part("gallery").locator(".live-text")).to_contain_text(NOT_THE_FIRST)
    studio.part("interrupt").click()
    studio.wait_until("done")


def test_a_reload_and_a_second_page_find_the_running_job(
    studio: Studio, open_page: OpenPage, painted_url: str
) -> None:
    studio.set_number("steps", 150)
    studio.set_number("batch_count", 50)
    studio.generate()
    studio.wait_until("running")
    studio.page.reload()
    studio.wait_until("running")
    other = Studio(open_page(painted_url))
    other.wait_until("running")
    other.record_previews()
    other.page.wait_for_function("window.seenPreviews.size >= 2")
    other.part("interrupt").click()
    other.wait_until("done")
    studio.wait_until("done")


def test_ctrl_enter_while_running_starts_anew(studio: Studio) -> None:
    studio.set_number("steps", 150)
    studio.set_number("batch_count", 50)
    studio.write("first")
    studio.generate()
    studio.wait_until("running")
    studio.set_number("steps", 3)
    studio.set_number("batch_count", 1)
    studio.write("second")
    studio.page.keyboard.press("Control+Enter")
    expect(studio.parameters).to_contain_text("second")


def test_a_double_click_is_one_wish(studio: Studio) -> None:
    studio.set_number("steps", 3)
    studio.write("once")
    wishes: list[str] = []

    def note(request: Request) -> None:
        if "/queue/join" in request.url and '"once"' in (request.post_data or ""):
            wishes.append(request.url)

    studio.page.on("request", note)
    studio.generate(clicks=2)
    studio.wait_for_picture()
    studio.page.remove_listener("request", note)
    assert len(wishes) == 1


def test_numbers_that_make_no_sense_are_one_sentence_beside_the_field(studio: Studio) -> None:
    for field, value in (("width", "0"), ("steps", "-1"), ("cfg_scale", "999"), ("seed", "")):
        studio.part(field).locator("input[type=number]").fill(value)
        studio.page.keyboard.press("Control+Enter")
        expect(studio.part(field).locator(".field-error")).to_have_count(1)
        assert studio.state in {"idle", "done"}
        studio.set_number(field, {"width": 128, "steps": 4, "cfg_scale": 7, "seed": -1}[field])
        expect(studio.part(field).locator(".field-error")).to_have_count(0)
    studio.picture_of_new_job()


def test_a_failed_job_is_one_sentence_and_the_next_is_fine(studio: Studio) -> None:
    studio.set_number("steps", 3)
    studio.write("fail")
    studio.generate()
    studio.wait_until("failed")
    message = studio.part("gallery").locator(".live-message")
    expect(message).to_have_text("The checkpoint is damaged: choose another one.")
    studio.expect_text("fail")
    studio.write("fine")
    studio.picture_of_new_job()
    expect(message).to_be_hidden()


def test_pictures_of_a_batch_can_be_looked_at_and_sent_on(studio: Studio) -> None:
    studio.set_number("steps", 3)
    studio.set_number("seed", 40)
    studio.set_number("batch_count", 3)
    studio.write("a batch")
    studio.picture_of_new_job()
    thumbs = studio.part("gallery").locator(".thumb")
    expect(thumbs).to_have_count(3)
    thumbs.nth(2).click()
    expect(studio.parameters).to_contain_text("Seed: 42")
    studio.set_number("seed", -1)
    studio.part("reuse_seed").click()
    studio.expect_numbers(seed=42)
    studio.part("send_to_img2img").click()
    target = Studio(studio.page, "img2img")
    target.part("image").locator('.canvas-view[data-ready="true"]').wait_for()
    target.expect_text("a batch")
    target.expect_numbers(seed=42, width=128)
    target.set_number("steps", 3)
    target.picture_of_new_job()


def test_parameters_are_pasted_and_dropped(studio: Studio, tmp_path: Path) -> None:
    studio.write(
        "a cat\nNegative prompt: a dog\nSteps: 33, Sampler: Euler a, Schedule type: Karras, CFG scale: 5.5, "
        "Seed: 123, Size: 192x448, Denoising strength: 0.5, Hires upscale: 1.5, Hires upscaler: Latent"
    )
    studio.part("paste").click()
    studio.expect_text("a cat")
    studio.expect_text("a dog", "neg_prompt")
    studio.expect_numbers(steps=33, cfg_scale=5.5, seed=123, width=192, height=448)
    studio.expect_choices(sampling="Euler a", scheduler="Karras")
    expect(studio.part("hr_scale")).to_be_visible()

    studio.set_number("steps", 4)
    source = studio.picture_of_new_job()
    picture = tmp_path / "made.png"
    picture.write_bytes(studio.page.request.get(f"{studio.page.url}{source}").body())
    studio.write("something else")
    studio.set_number("seed", 9)
    studio.drop_file(picture)
    studio.expect_text("a cat")
    studio.expect_numbers(seed=123)


def test_a_page_in_dark_stays_dark(studio: Studio) -> None:
    dark = studio.page.locator("body.dark")
    expect(dark).to_have_count(0)
    studio.page.click("#theme_switch")
    expect(dark).to_have_count(1)
    studio.page.reload()
    expect(studio.part("prompt")).to_be_visible()
    expect(dark).to_have_count(1)
    studio.page.click("#theme_switch")
    expect(dark).to_have_count(0)
