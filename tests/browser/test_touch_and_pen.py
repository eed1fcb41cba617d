"""Fingers, a pen and dragged files on the page, as the browser itself reports them."""

from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image
from playwright.sync_api import CDPSession, Locator, Route, expect

from modules.imaging.metadata import encode_image
from tests.browser.conftest import OpenPage
from tests.browser.studio_page import Studio, box_of

SIZE = (200, 120)
INFOTEXT = "a lighthouse\nSteps: 31, Sampler: Euler a, CFG scale: 4, Seed: 77, Size: 128x128"
Point = tuple[float, float]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "made.png"
    path.write_bytes(encode_image(Image.new("RGB", SIZE, (30, 120, 90)), "png", infotext=INFOTEXT))
    return path


def inpaint(open_page: OpenPage, address: str, picture: Path, *, phone: bool) -> Studio:
    studio = Studio(open_page(address, phone=phone)).open("inpaint")
    studio.put_picture(str(picture))
    studio.part("image").locator(".canvas-stage").scroll_into_view_if_needed()
    return studio


def devtools(studio: Studio) -> CDPSession:
    return studio.page.context.new_cdp_session(studio.page)


def middle(place: Locator) -> Point:
    box = box_of(place)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def touch(tools: CDPSession, kind: str, *points: Point) -> None:
    fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    tools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def pen_stroke(tools: CDPSession, start: Point, length: float, force: float) -> None:
    """A level stroke of a pen that is pressed with a force of 0 to 1."""
    (x, y), common = start, {"pointerType": "pen", "button": "left", "force": force, "clickCount": 1}
    for kind, at in (("mousePressed", 0.0), ("mouseMoved", 0.5), ("mouseMoved", 1.0), ("mouseReleased", 1.0)):
        event = {"type": kind, "x": x + at * length, "y": y, "buttons": 1, **common}
        tools.send("Input.dispatchMouseEvent", event)


def drop(tools: CDPSession, place: Locator, path: Path) -> None:
    """Drag a file from the desktop over a place and let it go."""
    x, y = middle(place)
    carried = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        tools.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": carried})


def test_two_fingers_zoom_and_move_the_picture_and_draw_nothing(
    open_page: OpenPage, painted_url: str, picture: Path
) -> None:
    studio = inpaint(open_page, painted_url, picture, phone=True)
    view, tools = studio.part("image").locator(".canvas-view"), devtools(studio)
    x, y = middle(view)

    def under(at: Point) -> list[float]:
        found: list[float] = view.evaluate(
            "(view, [clientX, clientY]) => view.field.view.at({ clientX, clientY })", list(at)
        )
        return found

    left, right = under((x - 30, y)), under((x + 30, y))
    touch(tools, "touchStart", (x - 30, y))
    touch(tools, "touchStart", (x - 30, y), (x + 30, y))
    for reach in (40, 50, 60):
        touch(tools, "touchMove", (x - reach, y + 6), (x + reach, y + 6))
    studio.page.wait_for_function(
        "document.querySelector('#inpaint_image .canvas-view').field.view.zoom > 1.95"
    )
    assert under((x - 60, y + 6)) == pytest.approx(left, abs=1)  # each finger holds its point of the picture
    assert under((x + 60, y + 6)) == pytest.approx(right, abs=1)
    touch(tools, "touchEnd")
    assert studio.painted_pixels() == 0
    touch(tools, "touchStart", (x, y))
    touch(tools, "touchMove", (x + 12, y))
    touch(tools, "touchEnd")
    assert studio.painted_pixels() > 0  # one finger draws again


def test_a_pen_draws_as_wide_as_it_is_pressed(open_page: OpenPage, painted_url: str, picture: Path) -> None:
    studio = inpaint(open_page, painted_url, picture, phone=False)
    tools = devtools(studio)
    x, y = middle(studio.part("image").locator(".canvas-stage"))
    drawn = []
    for force in (0.1, 1.0):
        pen_stroke(tools, (x - 60, y), 120, force)
        drawn.append(studio.painted_pixels())
        studio.part("image").get_by_label("Clear the drawing").click()
    assert 0 < 2 * drawn[0] < drawn[1]


def test_a_file_that_is_dropped_on_the_prompt_brings_its_parameters(
    open_page: OpenPage, painted_url: str, picture: Path
) -> None:
    studio = Studio(open_page(painted_url))
    drop(devtools(studio), studio.part("prompt").locator("textarea"), picture)
    studio.page.wait_for_function(
        "document.querySelector('#txt2img_prompt textarea').value === 'a lighthouse'"
    )
    studio.page.wait_for_function(
        "document.querySelector('#txt2img_steps input[type=number]').value === '31'"
    )


def test_a_file_that_is_dropped_on_a_field_is_its_picture(
    open_page: OpenPage, painted_url: str, picture: Path
) -> None:
    studio = Studio(open_page(painted_url)).open("img2img")
    view = studio.part("image").locator(".canvas-view")
    view.scroll_into_view_if_needed()
    drop(devtools(studio), view, picture)
    studio.part("image").locator('.canvas-view[data-ready="true"][data-width="200"]').wait_for()
    assert studio.text() == ""  # the prompt is left alone


def test_the_cost_stands_beside_generate_on_every_tab(
    open_page: OpenPage, painted_url: str, picture: Path
) -> None:
    page = open_page(painted_url)
    asked: list[dict[str, Any]] = []

    def answer(route: Route) -> None:
        asked.append(cast("dict[str, Any]", route.request.post_data_json))
        route.fulfill(json={"fit": "tiles", "seconds": 14, "wait_seconds": None})

    page.route("**/api/v1/page/estimate", answer)
    for tab in ("txt2img", "img2img", "inpaint"):
        studio = Studio(page).open(tab)
        studio.set_number("steps", 24)
        line = studio.part("actions_column").locator(".estimate")
        expect(line).to_have_text("About 14 s · decoded in tiles to fit the memory")
    assert any(one["image_to_image"] is None for one in asked)
    assert asked[-1]["image_to_image"] == {"images": ["start"], "denoising_strength": 0.75}
    studio.put_picture(str(picture))
    studio.page.get_by_role("tab", name="Resize by", exact=True).click()
    with page.expect_request(
        lambda request: request.url.endswith("page/estimate") and '"width":400' in str(request.post_data)
    ) as found:
        studio.set_number("scale", 2)
    assert '"height":240' in str(found.value.post_data)
