import math
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.studio_page import Studio, box_of

SIZE = (200, 120)
FIELD = "image"


@pytest.fixture
def inpaint(studio: Studio, tmp_path: Path) -> Studio:
    path = tmp_path / "in.png"
    Image.new("RGB", SIZE, (180, 40, 40)).save(path)
    inpaint = studio.open("inpaint")
    inpaint.put_picture(str(path))
    inpaint.take_brush()
    return inpaint


def set_brush(studio: Studio, size: int) -> None:
    slider = studio.part(FIELD).get_by_label("Brush size")
    slider.evaluate(
        "(slider, size) => { slider.value = size; slider.dispatchEvent(new Event('input')); }", size
    )


def packed_mask(studio: Studio) -> list[tuple[int, int]]:
    """White pixels (x, y) of the mask as it will travel to the server."""
    found = studio.page.evaluate(
        """async () => {
            const field = document.querySelector('#inpaint_image .canvas-view').field;
            const { mask } = await field.drawing.value();
            const image = new Image();
            image.src = mask;
            await image.decode();
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            const pen = canvas.getContext('2d');
            pen.drawImage(image, 0, 0);
            const { data } = pen.getImageData(0, 0, canvas.width, canvas.height), found = [];
            for (let i = 0; i < data.length; i += 4) if (data[i] > 127) found.push(i / 4);
            return found;
        }"""
    )
    return [(int(place) % SIZE[0], int(place) // SIZE[0]) for place in found]


def test_single_pixels_are_hit_at_the_largest_zoom_and_undone(inpaint: Studio) -> None:
    field = inpaint.part(FIELD)
    set_brush(inpaint, 1)
    for _ in range(9):
        field.get_by_label("Zoom in").click()
    wanted = [(100, 60), (97, 62), (103, 58)]
    for x, y in wanted:
        inpaint.stroke([((x + 0.5) / SIZE[0], (y + 0.5) / SIZE[1])])
    assert set(inpaint.painted()) == set(wanted)
    assert set(packed_mask(inpaint)) == set(wanted)
    view = field.locator(".canvas-view")
    view.press("Control+z")
    assert set(inpaint.painted()) == set(wanted[:2])
    view.press("Control+z")
    view.press("Control+y")
    assert set(packed_mask(inpaint)) == set(wanted[:2])
    view.press("r")
    expect(field.get_by_label("Fit to view")).to_have_text("100 %")
    view.press("i")
    assert len(packed_mask(inpaint)) == SIZE[0] * SIZE[1] - 2


def test_buttons_work_after_several_changes_of_a_drawing_at_once(inpaint: Studio) -> None:
    inpaint.page.evaluate(
        """() => {
            const { field } = document.querySelector('#inpaint_image .canvas-view');
            for (const change of ['invert', 'undo', 'redo']) field.perform((drawing) => drawing[change]());
        }"""
    )
    inpaint.write("a cat")
    inpaint.generate()
    inpaint.wait_until("done")


def test_space_moves_the_picture_and_the_wheel_zooms_at_the_pointer(inpaint: Studio) -> None:
    view = inpaint.part(FIELD).locator(".canvas-view")
    view.scroll_into_view_if_needed()
    box = box_of(view)
    x, y = round(box["x"] + box["width"] * 0.3), round(box["y"] + box["height"] * 0.5)

    def under_pointer() -> list[float]:
        found: list[float] = view.evaluate(
            "(view, [clientX, clientY]) => view.field.view.at({ clientX, clientY })", [x, y]
        )
        return found

    before = under_pointer()
    inpaint.page.mouse.move(x, y)
    inpaint.page.keyboard.down("Alt")
    inpaint.page.mouse.wheel(0, -300)
    inpaint.page.keyboard.up("Alt")
    inpaint.page.wait_for_function(
        "document.querySelector('#inpaint_image .canvas-view').field.view.zoom > 1"
    )
    assert under_pointer() == pytest.approx(before, abs=0.01)
    view.press("b")
    inpaint.page.keyboard.down(" ")
    inpaint.page.mouse.down()
    inpaint.page.mouse.move(x + 20, y + 10)
    inpaint.page.mouse.up()
    inpaint.page.keyboard.up(" ")
    scale = float(view.evaluate("(view) => view.field.view.scale"))
    assert under_pointer() == pytest.approx([before[0] - 20 / scale, before[1] - 10 / scale], abs=0.01)
    assert inpaint.painted_pixels() == 0


def test_an_outline_is_filled_and_soft_brushes_fade(inpaint: Studio) -> None:
    field = inpaint.part(FIELD)
    set_brush(inpaint, 6)
    corners = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2)]
    inpaint.stroke(corners)
    outline = inpaint.painted_pixels()
    field.get_by_label("Fill", exact=True).click()
    inpaint.stroke([(0.5, 0.5)])
    whole = 0.6 * SIZE[0] * 0.6 * SIZE[1]
    assert inpaint.painted_pixels() == pytest.approx(whole + outline / 2, rel=0.05)
    assert (5, 5) not in inpaint.painted()
    field.get_by_label("Clear the drawing").click()
    field.get_by_label("Brush", exact=True).click()
    set_brush(inpaint, 60)
    field.get_by_label("Hardness").evaluate(
        "(slider) => { slider.value = 0; slider.dispatchEvent(new Event('input')); }"
    )
    inpaint.stroke([(0.5, 0.5)])
    soft = inpaint.painted_pixels()
    assert 0 < soft < math.pi * 30**2 * 0.8


def test_a_stroke_on_4096_pixels_is_packed_at_once(inpaint: Studio, tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (4096, 4096), (10, 90, 160)).save(path)
    inpaint.put_picture(str(path))
    box = inpaint.part(FIELD).locator(".canvas-overlay").evaluate("(canvas) => canvas.width * canvas.height")
    assert box < 1000 * 1000  # what is shown is no larger than the view
    spent = inpaint.page.evaluate(
        """async () => {
            const field = document.querySelector('#inpaint_image .canvas-view').field;
            const wave = (_, i) => [200 + 60 * i, 2000 + 900 * Math.sin(i / 9), 1];
            const points = Array.from({ length: 60 }, wave);
            const started = performance.now();
            field.drawing.stroke({ size: 400, hardness: 1, colour: '#ffffff', erase: false, points });
            const value = await field.drawing.value();
            return [performance.now() - started, value.mask.length];
        }"""
    )
    assert spent[1] < 200_000  # characters: one bit a pixel, packed
    assert spent[0] < 20_000  # milliseconds; far more than it takes, for busy machines


def test_a_drawing_outlives_a_reload(inpaint: Studio) -> None:
    inpaint.stroke([(0.3, 0.5), (0.7, 0.5)])
    inpaint.page.wait_for_function(
        "document.querySelector('#inpaint_image .canvas-view').field.props.value.mask"
    )
    drawn = set(inpaint.painted())
    inpaint.page.reload()
    inpaint.open("inpaint")
    inpaint.part(FIELD).locator('.canvas-view[data-ready="true"]').wait_for()
    inpaint.page.wait_for_function("!document.querySelector('#inpaint_image .undo').disabled")
    assert set(inpaint.painted()) == drawn
