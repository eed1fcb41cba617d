from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.studio_page import Studio


@pytest.fixture
def studio(studio: Studio) -> Studio:
    for field, value in (("width", 64), ("height", 64), ("steps", 150), ("batch_count", 50)):
        studio.set_number(field, value)
    return studio


def queue(studio: Studio, *prompts: str) -> None:
    """Put jobs behind those that run."""
    for prompt in prompts:
        studio.write(prompt)
        with sent(studio, prompt):
            studio.part("queue").click()


@contextmanager
def sent(studio: Studio, prompt: str) -> Iterator[None]:
    """What is done inside sends a form with this prompt to the server; wait until it is there."""
    with studio.page.expect_response(
        lambda answer: "/queue/join" in answer.url and f'"{prompt}"' in (answer.request.post_data or "")
    ):
        yield


def open_panel(studio: Studio) -> Locator:
    studio.page.locator("#queue_button").click()
    return studio.page.locator("#queue_panel")


def names(panel: Locator) -> Locator:
    """Prompts of the jobs that run or wait, in their order."""
    return panel.locator(".queue-line:not([data-state=done], [data-state=failed], [data-state=cancelled]) b")


def begin(studio: Studio) -> None:
    studio.write("first")
    studio.generate()
    studio.wait_until("running")


def test_different_jobs_are_queued_from_one_page_seen_and_reordered(studio: Studio) -> None:
    begin(studio)
    queue(studio, "second", "third")
    expect(studio.page.locator("#queue_button")).to_have_attribute("data-count", "3")
    panel = open_panel(studio)
    expect(names(panel)).to_have_text(["first", "second", "third"])
    line = panel.locator(".queue-line").nth(2)
    line.hover()
    line.get_by_role("button", name="Earlier").click()
    expect(names(panel)).to_have_text(["first", "third", "second"])


def test_a_job_is_paused_goes_on_and_is_cancelled(studio: Studio) -> None:
    begin(studio)
    queue(studio, "second")
    panel = open_panel(studio)
    line = panel.locator(".queue-line").nth(1)
    line.hover()
    line.get_by_role("button", name="Pause").click()
    expect(line).to_have_attribute("data-state", "paused")
    line.get_by_role("button", name="Go on").click()
    expect(line).to_have_attribute("data-state", "queued")
    line.hover()
    line.get_by_role("button", name="Cancel").click()
    expect(studio.page.locator("#queue_button")).to_have_attribute("data-count", "1")


def test_the_next_job_appears_in_the_gallery_when_it_begins(studio: Studio) -> None:
    begin(studio)
    first = studio.part("gallery").locator(".live-root").get_attribute("data-job")
    studio.set_number("batch_count", 1)
    studio.set_number("steps", 3)
    queue(studio, "second")
    studio.part("interrupt").click()
    expect(studio.parameters).to_contain_text("second")
    assert studio.part("gallery").locator(".live-root").get_attribute("data-job") != first


def test_shift_and_generate_queues_and_keeps_what_is_shown(studio: Studio) -> None:
    studio.set_number("batch_count", 1)
    studio.set_number("steps", 2)
    studio.picture_of_new_job()
    studio.write("behind")
    with sent(studio, "behind"):
        studio.part("generate").click(modifiers=["Shift"])
    expect(studio.parameters).to_contain_text("behind")


def test_an_older_job_is_shown_again(studio: Studio) -> None:
    studio.set_number("batch_count", 1)
    studio.set_number("steps", 2)
    for prompt in ("older", "newer"):
        studio.write(prompt)
        studio.picture_of_new_job()
    panel = open_panel(studio)
    panel.locator(".queue-show", has_text="older").first.click()
    expect(studio.parameters).to_contain_text("older")


def test_what_cannot_be_queued_is_said_beside_its_field(studio: Studio) -> None:
    studio.part("width").locator("input[type=number]").fill("0")
    studio.part("queue").dispatch_event("click")  # a key's press: the field, still in use, was not corrected
    studio.part("width").locator(".field-error").wait_for()
