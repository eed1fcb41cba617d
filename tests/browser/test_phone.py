from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import PHONE
from tests.browser.studio_page import Studio, box_of


@pytest.fixture
def studio(desk: Callable[..., Studio]) -> Studio:
    return desk(phone=True)


def test_the_result_comes_first_and_generate_is_always_at_hand(studio: Studio) -> None:
    generate, gallery, prompt = (box_of(studio.part(name)) for name in ("generate", "gallery", "prompt"))
    assert generate["y"] + generate["height"] <= PHONE["height"]
    assert gallery["y"] < prompt["y"]
    studio.page.mouse.wheel(0, 2000)
    studio.page.wait_for_function("scrollY > 100")
    expect(studio.part("generate")).to_be_in_viewport()


def test_nothing_is_wider_than_the_screen(studio: Studio) -> None:
    for tab in ("txt2img", "img2img", "inpaint"):
        studio.open(tab)
        assert studio.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_picture_is_made_by_tapping(studio: Studio) -> None:
    studio.write("a red apple")
    studio.set_number("steps", 5)
    studio.part("generate").tap()
    studio.wait_for_picture()


def test_a_mask_is_drawn_with_a_finger(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.new("RGB", (160, 160), (40, 90, 160)).save(path)
    inpaint = studio.open("inpaint")
    inpaint.put_picture(str(path))
    view = inpaint.part("image").locator(".canvas-stage")
    view.scroll_into_view_if_needed()
    box = box_of(view)
    y = box["y"] + box["height"] / 2
    touch = inpaint.page.context.new_cdp_session(inpaint.page)
    xs = [box["x"] + box["width"] * part for part in (0.3, 0.4, 0.5, 0.6, 0.7)]
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": xs[0], "y": y}]})
    for x in xs[1:]:
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    brush = float(inpaint.part("image").locator(".brush-size input").input_value())
    assert inpaint.painted_pixels() == pytest.approx(64 * brush + 3.14 * (brush / 2) ** 2, rel=0.08)
