from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.studio_page import Studio


@pytest.fixture
def own(open_page: OpenPage, painted_url: str) -> Studio:
    """A page without a past."""
    return Studio(open_page(painted_url))


def wait_for_history(studio: Studio, length: int) -> None:
    studio.page.wait_for_function(
        "(length) => JSON.parse(localStorage['studio-form:local:txt2img'] || '{}').past?.length === length",
        arg=length,
    )


def test_everything_can_be_undone_and_redone_also_after_a_reload(own: Studio) -> None:
    studio = own
    studio.write("a castle")
    wait_for_history(studio, 1)
    studio.set_number("steps", 33)
    wait_for_history(studio, 2)
    studio.part("hr").locator("button").first.click()
    wait_for_history(studio, 3)
    studio.page.reload()
    studio.expect_numbers(steps=33)
    studio.expect_text("a castle")
    expect(studio.part("hr_scale")).to_be_visible()
    studio.page.keyboard.press("Control+Alt+z")
    expect(studio.part("hr_scale")).to_be_hidden()
    studio.part("undo").click()
    studio.expect_numbers(steps=20)
    studio.part("undo").click()
    studio.expect_text("")
    expect(studio.part("undo")).to_have_attribute("aria-disabled", "true")
    for _ in range(2):
        studio.page.keyboard.press("Control+Alt+y")
    studio.expect_numbers(steps=33)
    studio.expect_text("a castle")


def test_a_form_that_is_opened_later_is_remembered_too(studio: Studio) -> None:
    img2img = studio.open("img2img")
    img2img.write("a boat")
    img2img.set_number("cfg_scale", 4)
    studio.page.wait_for_function(
        "JSON.parse(localStorage['studio-form:local:img2img'] || '{}').now?.cfg_scale === 4"
    )
    studio.page.reload()
    studio.page.wait_for_selector("#txt2img_prompt textarea")
    img2img = studio.open("img2img")
    img2img.expect_numbers(cfg_scale=4)
    img2img.expect_text("a boat")


def test_a_damaged_or_foreign_memory_is_no_obstacle(studio: Studio) -> None:
    for memory in ("{", '{"now": {"steps": "many", "sampling": "No sampler", "gone": 1, "width": 640}}'):
        studio.page.evaluate(
            """(memory) => addEventListener('pagehide', () => {
                localStorage.setItem('studio-form:local:txt2img', memory);
            })""",
            memory,
        )
        studio.page.reload()
        studio.expect_numbers(width=512 if memory == "{" else 640)
        studio.page.wait_for_function("window.studio?.form?.isSettled('txt2img')")
        studio.expect_numbers(steps=20)
        studio.expect_choices(sampling="DPM++ 2M")


@pytest.fixture
def _no_defaults_stay(own: Studio) -> Iterator[None]:
    """Other tests of this server find the defaults that they expect, however this one ends."""
    yield
    own.page.request.delete(f"{own.page.url}api/v1/page/defaults/txt2img")


@pytest.mark.usefixtures("_no_defaults_stay")
def test_defaults_are_kept_for_everybody_and_forgotten_again(
    own: Studio, painted_url: str, open_page: OpenPage, painted_root: Path
) -> None:
    studio = own
    studio.write("mine alone")
    studio.set_number("steps", 31)
    studio.page.wait_for_function("studio.form.value('txt2img', 'steps') === 31")
    menu = studio.page.locator("#page_menu")
    studio.page.locator("#page_menu_button").click()
    with studio.page.expect_response(lambda answer: answer.request.method == "PUT"):
        menu.get_by_role("button", name="Let this form be the default").click()
    assert '"txt2img/Sampling steps/value": 31' in (painted_root / "data" / "ui-config.json").read_text(
        "utf-8"
    )
    other = Studio(open_page(painted_url, profile="somebody else"))
    other.expect_numbers(steps=31)
    assert other.text() == ""
    other.set_number("steps", 7)
    other.page.locator("#page_menu_button").click()
    other.page.locator("#page_menu").get_by_role("button", name="Reset this form").click()
    other.expect_numbers(steps=31)
    studio.page.locator("#page_menu_button").click()
    menu.get_by_role("button", name="Forget the changed default").click()
    studio.expect_numbers(steps=20)


def test_the_compact_layout_is_remembered_and_all_keys_are_listed(studio: Studio) -> None:
    studio.page.locator("#page_menu_button").click()
    studio.page.get_by_label("Compact layout").check()
    studio.page.reload()
    studio.page.wait_for_selector("body.compact")
    studio.page.wait_for_selector("#txt2img_prompt textarea")
    studio.page.keyboard.press("Shift+?")
    expect(studio.page.get_by_role("dialog", name="Keys")).to_contain_text("Ctrl+Alt+Z")
    studio.page.keyboard.press("Escape")
    studio.page.keyboard.press("/")
    expect(studio.part("prompt").locator("textarea")).to_be_focused()
    studio.page.locator("#page_menu_button").click()
    studio.page.get_by_label("Compact layout").uncheck()
    expect(studio.page.locator("body.compact")).to_have_count(0)


def test_what_is_typed_before_the_form_has_opened_can_be_undone(studio: Studio) -> None:
    studio.page.evaluate(
        """() => {
            studio.form.begin('early', [['prompt', 'Prompt', null, '']], []);
            studio.form.changed('early', ['a castle']);
        }"""
    )
    past = studio.page.wait_for_function("JSON.parse(localStorage['studio-form:local:early'] || '{}').past")
    assert past.json_value() == [{"before": {"prompt": ""}, "after": {"prompt": "a castle"}}]


def test_what_is_remembered_is_not_lost_while_gradio_brings_it_to_the_fields(studio: Studio) -> None:
    """Gradio brings one value after the other, and tells all values each time: at first old ones too."""
    told = studio.page.evaluate(
        """async () => {
            const fields = [['prompt', 'Prompt', null, ''], ['steps', 'Steps', null, 20]], told = [];
            const remembered = { now: { prompt: 'a castle', steps: 30 } };
            localStorage['studio-form:local:late'] = JSON.stringify(remembered);
            await studio.form.begin('late', fields, []);
            for (const values of [['', 30], ['a castle', 30], ['', 30]]) {
                studio.form.changed('late', values);
                told.push([studio.form.value('late', 'prompt'), studio.form.isSettled('late')]);
            }
            return told;
        }"""
    )
    assert told == [["a castle", False], ["a castle", True], ["", True]]
