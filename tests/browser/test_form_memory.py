from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import OpenPage
from tests.browser.studio_page import Studio


@pytest.fixture
def studio(open_page: OpenPage, painted_url: str) -> Studio:
    return Studio(open_page(painted_url, profile="remembers"))


def history(studio: Studio) -> int:
    """Number of changes that can be undone."""
    return int(
        studio.page.evaluate(
            "JSON.parse(localStorage['studio-form:local:txt2img'] || '{}').past?.length || 0"
        )
    )


def wait_for_history(studio: Studio, length: int) -> None:
    studio.page.wait_for_function(
        "(length) => JSON.parse(localStorage['studio-form:local:txt2img'] || '{}').past?.length === length",
        arg=length,
    )


def wait_for_number(studio: Studio, field: str, value: float) -> None:
    studio.page.wait_for_function(
        "([id, value]) => document.querySelector(`#${id} input[type=number]`)?.value === value",
        arg=[f"{studio.tab}_{field}", str(value)],
    )


def test_everything_can_be_undone_and_redone_also_after_a_reload(studio: Studio) -> None:
    studio.write("a castle")
    wait_for_history(studio, 1)
    studio.set_number("steps", 33)
    wait_for_history(studio, 2)
    studio.part("hr").locator("button").first.click()
    wait_for_history(studio, 3)
    studio.page.reload()
    wait_for_number(studio, "steps", 33)
    assert studio.text() == "a castle"
    expect(studio.part("hr_scale")).to_be_visible()
    studio.page.keyboard.press("Control+Alt+z")
    expect(studio.part("hr_scale")).to_be_hidden()
    studio.part("undo").click()
    wait_for_number(studio, "steps", 20)
    studio.part("undo").click()
    studio.page.wait_for_function("document.querySelector('#txt2img_prompt textarea').value === ''")
    expect(studio.part("undo")).to_have_attribute("aria-disabled", "true")
    for _ in range(2):
        studio.page.keyboard.press("Control+Alt+y")
    wait_for_number(studio, "steps", 33)
    assert studio.text() == "a castle"


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
    wait_for_number(img2img, "cfg_scale", 4)
    assert img2img.text() == "a boat"


def test_a_damaged_or_foreign_memory_is_no_obstacle(open_page: OpenPage, painted_url: str) -> None:
    studio = Studio(open_page(painted_url, profile="remembers"))
    for memory in ("{", '{"now": {"steps": "many", "sampling": "No sampler", "gone": 1, "width": 640}}'):
        studio.page.evaluate(
            """(memory) => addEventListener('pagehide', () => {
                localStorage.setItem('studio-form:local:txt2img', memory);
            })""",
            memory,
        )
        studio.page.reload()
        studio.page.wait_for_selector("#txt2img_prompt textarea")
        wait_for_number(studio, "width", 512 if memory == "{" else 640)
        assert studio.number("steps") == 20
        assert studio.choice("sampling") == "DPM++ 2M"


def test_defaults_are_kept_for_everybody_and_forgotten_again(
    studio: Studio,
    painted_url: str,
    open_page: OpenPage,
    painted_root: Path,
    profiles: Callable[..., BrowserContext],
) -> None:
    studio.write("mine alone")
    studio.set_number("steps", 31)
    menu = studio.page.locator("#page_menu")
    studio.page.locator("#page_menu_button").click()
    menu.get_by_role("button", name="Let this form be the default").click()
    expect(studio.page.get_by_role("status").filter(has_text="begins with")).to_be_visible()
    assert '"txt2img/Sampling steps/value": 31' in (painted_root / "data" / "ui-config.json").read_text(
        "utf-8"
    )
    other = Studio(open_page(painted_url, profile="somebody else"))
    wait_for_number(other, "steps", 31)
    assert other.text() == ""
    other.set_number("steps", 7)
    other.page.locator("#page_menu_button").click()
    other.page.locator("#page_menu").get_by_role("button", name="Reset this form").click()
    wait_for_number(other, "steps", 31)
    studio.page.locator("#page_menu_button").click()
    menu.get_by_role("button", name="Forget the changed default").click()
    wait_for_number(studio, "steps", 20)


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
    studio.page.evaluate("localStorage.removeItem('studio-compact')")


def test_what_is_typed_before_the_form_has_opened_can_be_undone(studio: Studio) -> None:
    studio.page.evaluate(
        """() => {
            studio.form.begin('early', [['prompt', 'Prompt', null, '']], []);
            studio.form.changed('early', ['a castle']);
        }"""
    )
    past = studio.page.wait_for_function("JSON.parse(localStorage['studio-form:local:early'] || '{}').past")
    assert past.json_value() == [{"before": {"prompt": ""}, "after": {"prompt": "a castle"}}]
