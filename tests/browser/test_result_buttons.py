import io
import zipfile

import pytest
from playwright.sync_api import expect

from tests.browser.studio_page import Studio


@pytest.fixture
def studio(studio: Studio) -> Studio:
    studio.set_number("width", 128)
    studio.set_number("height", 128)
    studio.set_number("steps", 3)
    return studio


def test_pictures_are_saved_packed_and_made_larger(studio: Studio) -> None:
    studio.set_number("batch_count", 2)
    studio.set_number("seed", 70)
    studio.write("a kept apple")
    studio.picture_of_new_job()
    shown = studio.page.request.get(f"{studio.page.url}{studio.shown}").body()

    studio.part("#save_txt2img").click()
    expect(studio.page.get_by_text("Saved as")).to_be_visible()
    with studio.page.expect_download() as packed:
        studio.part("#save_zip_txt2img").click()
    with zipfile.ZipFile(io.BytesIO(packed.value.path().read_bytes())) as archive:
        assert len(archive.namelist()) == 2
        assert shown in [archive.read(name) for name in archive.namelist()]
    with studio.page.expect_download() as single:
        studio.part("#download_txt2img").click()
    assert single.value.path().read_bytes() == shown

    before = studio.shown
    studio.part("upscale").click()
    studio.page.wait_for_function(
        "(src) => document.querySelector('#txt2img_gallery .stage-image').getAttribute('src') !== src"
        " && document.querySelector('#txt2img_gallery .live-root').dataset.state === 'done'",
        arg=before,
    )
    expect(studio.parameters).to_contain_text("Seed: 70")
    expect(studio.part("gallery").locator(".thumb")).to_have_count(0)


def test_a_job_is_paused_and_goes_on(studio: Studio) -> None:
    studio.set_number("steps", 150)
    studio.set_number("batch_count", 50)
    studio.generate()
    studio.wait_until("running")
    studio.part("pause").click()
    studio.wait_until("paused")
    expect(studio.part("gallery").locator(".live-text")).to_have_text("Paused")
    studio.record_previews()
    studio.part("resume").click()
    studio.page.wait_for_function("window.seenPreviews.size >= 2")
    studio.part("interrupt").click()
    studio.wait_until("done")


def test_generate_forever_goes_on_until_it_is_interrupted(studio: Studio) -> None:
    studio.part("generate").click(button="right")
    studio.page.get_by_role("menuitem", name="Generate forever", exact=True).click()
    jobs: list[str] = []
    for _ in range(3):
        studio.page.wait_for_function(
            "(seen) => !['', ...seen].includes("
            "document.querySelector('#txt2img_gallery .live-root').dataset.job)",
            arg=jobs,
        )
        jobs.append(str(studio.part("gallery").locator(".live-root").get_attribute("data-job")))
    studio.set_number("steps", 150)
    studio.set_number("batch_count", 50)
    expect(studio.part("gallery").locator(".live-text")).to_contain_text("of 50")
    studio.part("interrupt").click()
    expect(studio.part("#txt2img_page:not([data-forever])")).to_be_visible()
    studio.wait_until("done")
    last = studio.part("gallery").locator(".live-root").get_attribute("data-job")
    expect(studio.part("generate")).to_be_visible()
    assert studio.part("gallery").locator(".live-root").get_attribute("data-job") == last

    studio.part("generate_menu").click()
    expect(studio.page.get_by_role("menuitem", name="Generate forever", exact=True)).to_be_visible()
    studio.page.keyboard.press("Escape")
    expect(studio.page.get_by_role("menu")).to_have_count(0)


def test_a_picture_dragged_from_the_stage_onto_the_prompt_brings_its_parameters_back(studio: Studio) -> None:
    studio.write("a red boat")
    studio.set_number("steps", 5)
    studio.picture_of_new_job()
    for words in ("something else", "and once more"):
        studio.write(words)
        studio.set_number("steps", 9)
        studio.part("gallery").locator(".stage-image").drag_to(studio.part("prompt").locator("textarea"))
        studio.expect_text("a red boat")
        studio.expect_numbers(steps=5)
