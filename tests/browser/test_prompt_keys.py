import pytest
from playwright.sync_api import expect

from tests.browser.studio_page import Studio


@pytest.fixture(scope="module")
def cases() -> list[tuple[str, tuple[int, int], list[str], str]]:
    """Text, selection, keys, text after them."""
    return [
        ("a castle, hill", (4, 4), ["Control+ArrowUp"] * 2, "a (castle:1.2), hill"),
        ("a (castle:1.2), hill", (5, 5), ["Control+ArrowDown"] * 2, "a castle, hill"),
        ("a castle, hill", (0, 8), ["Control+ArrowDown"], "(a castle:0.9), hill"),
        ("<lora:x:1>", (5, 5), ["Control+ArrowUp"], "<lora:x:1.05>"),
        ("one, two, three", (6, 6), ["Alt+ArrowLeft"], "two, one, three"),
        ("one, two, three", (6, 6), ["Alt+ArrowRight"] * 2, "one, three, two"),
        ("(nested (deep:1.1):1.3)", (9, 9), ["Control+ArrowUp"], "(nested (deep:1.2):1.3)"),
        ("", (0, 0), ["Control+ArrowUp"], ""),
    ]


def test_keys_change_weights_and_order(
    studio: Studio, cases: list[tuple[str, tuple[int, int], list[str], str]]
) -> None:
    area = studio.part("prompt").locator("textarea")
    for text, selection, keys, expected in cases:
        studio.write(text)
        area.evaluate(
            "(area, [from, to]) => { area.focus(); area.setSelectionRange(from, to); }", list(selection)
        )
        for key in keys:
            studio.page.keyboard.press(key)
        studio.expect_text(expected)


def test_the_token_counter_follows_the_prompt(studio: Studio) -> None:
    studio.write("a red apple")
    expect(studio.part("token_counter")).to_have_text("3/75")
    studio.write("apple " * 80)
    expect(studio.part("token_counter")).to_have_text("80/150")
