"""The script row in a browser, over the whole product: a plot is asked for, made, shown with its legend."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.studio_page import Studio

SIDE = 64  # pixels of a cell: what is looked at is the plot, not the pictures


@pytest.fixture
def studio(open_studio: Callable[..., Studio]) -> Studio:
    return open_studio()


def choose_script(studio: Studio, title: str) -> None:
    box = studio.part("#script_list").locator("input").first
    box.click()
    box.fill(title)
    studio.page.get_by_role("option", name=title, exact=True).first.click()


def tokens(studio: Studio, control: str) -> Locator:
    return studio.part(control).locator(".token")


def argument(name: str) -> str:
    return f"#script_txt2img_xyz_plot_{name}"


def test_a_plot_is_made_and_shown_with_its_legend(studio: Studio) -> None:
    studio.write("a red apple")
    for field, value in (("steps", 2), ("width", SIDE), ("height", SIDE), ("seed", 11)):
        studio.set_number(field, value)
    choose_script(studio, "X/Y/Z plot")
    studio.part(argument("x_type")).locator("select").select_option("Steps")
    studio.part(argument("x_values")).locator("input").fill("1-2")
    studio.part(argument("y_type")).locator("select").select_option("Sampler")
    expect(studio.part(argument("y_values"))).to_be_hidden()
    studio.part(argument("fill_y_values_dropdown")).click()
    expect(tokens(studio, argument("y_values_dropdown")).first).to_be_visible()
    studio.part(argument("csv_mode")).locator("input").check()
    written = studio.part(argument("y_values")).locator("input")
    expect(written).to_have_value(re.compile("Euler a,.*DDIM"))  # the list as text
    written.fill("Euler, DDIM")
    studio.generate()
    studio.wait_for_picture()
    pixels = studio.result_pixels()
    assert pixels.shape[1] == 2 * SIDE + SIDE * 3 // 4  # two columns, and the names of the rows
    assert pixels.shape[0] > 2 * SIDE  # two rows, and the names of the columns
    expect(studio.parameters).to_contain_text("X Type: Steps")
    expect(studio.parameters).to_contain_text('Y Values: "Euler, DDIM"')


def test_axes_swap_and_a_wrong_value_is_said_beside_the_list(studio: Studio) -> None:
    choose_script(studio, "X/Y/Z plot")
    values = studio.part(argument("x_values")).locator("input")
    values.fill("one, two")
    studio.part(argument("xy_grid_swap_axes_button")).click()
    expect(studio.part(argument("y_type")).locator("select")).to_have_value("Seed")
    expect(studio.part(argument("x_type")).locator("select")).to_have_value("Nothing")
    expect(studio.part(argument("y_values")).locator("input")).to_have_value("one, two")
    studio.generate()
    studio.wait_until("failed")
    expect(studio.page.locator("body")).to_contain_text("'one' is no whole number")
