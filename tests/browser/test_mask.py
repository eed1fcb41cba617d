from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.studio_page import Studio

SIZE = (200, 120)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "in.png"
    Image.new("RGB", SIZE, (180, 40, 40)).save(path)
    return str(path)


@pytest.fixture
def inpaint(studio: Studio, picture: str) -> Studio:
    inpaint = studio.open("inpaint").begin_anew()
    inpaint.put_picture(picture)
    inpaint.take_brush()
    return inpaint


def test_brush_eraser_undo_redo_invert_and_clear(inpaint: Studio) -> None:
    field = inpaint.part("image")
    assert inpaint.painted_pixels() == 0
    inpaint.stroke([(0.3, 0.5), (0.7, 0.5)])
    drawn = inpaint.painted_pixels()
    brush = float(field.locator(".brush-size input").input_value())
    assert drawn == pytest.approx(0.4 * SIZE[0] * brush + 3.14 * (brush / 2) ** 2, rel=0.06)
    field.get_by_label("Eraser").click()
    inpaint.stroke([(0.5, 0.3), (0.5, 0.7)])
    erased = inpaint.painted_pixels()
    assert erased < drawn
    field.get_by_label("Undo").click()
    assert inpaint.painted_pixels() == drawn
    field.get_by_label("Redo").click()
    assert inpaint.painted_pixels() == erased
    field.get_by_label("Invert mask").click()
    assert inpaint.painted_pixels() == SIZE[0] * SIZE[1] - erased
    field.get_by_label("Clear the drawing").click()
    assert inpaint.painted_pixels() == 0
    field.locator(".canvas-view").press("Control+z")
    assert inpaint.painted_pixels() == SIZE[0] * SIZE[1] - erased


def test_drawing_hits_the_same_pixels_when_zoomed_in(inpaint: Studio) -> None:
    field = inpaint.part("image")
    field.get_by_label("Zoom in").click()
    field.get_by_label("Zoom in").click()
    inpaint.stroke([(0.5, 0.5), (0.52, 0.5)])
    drawn = inpaint.painted()
    middle = [sum(pixel[axis] + 0.5 for pixel in drawn) / len(drawn) for axis in (0, 1)]
    assert middle == pytest.approx([0.51 * SIZE[0], 0.5 * SIZE[1]], abs=1.5)


def test_what_is_missing_is_asked_for_beside_the_picture(inpaint: Studio) -> None:
    inpaint.part("generate").click()
    expect(inpaint.part("image").locator(".field-error")).to_contain_text("Paint over")
    inpaint.stroke([(0.4, 0.4), (0.6, 0.6)])
    inpaint.set_number("steps", 3)
    inpaint.picture_of_new_job()
    expect(inpaint.part("image").locator(".field-error")).to_have_count(0)


def test_a_mask_is_loaded_from_a_file_of_the_same_size(inpaint: Studio, tmp_path: Path) -> None:
    for size, name in (((64, 64), "wrong.png"), (SIZE, "right.png")):
        mask = Image.new("L", size, 0)
        mask.paste(255, (10, 20, 40, 50))
        mask.save(tmp_path / name)
    field, message = inpaint.part("image"), inpaint.part("image").locator(".canvas-message")
    with inpaint.page.expect_file_chooser() as chooser:
        field.get_by_label("Load a mask from a file").click()
    chooser.value.set_files(tmp_path / "wrong.png")
    expect(message).to_contain_text("64 × 64")
    with inpaint.page.expect_file_chooser() as chooser:
        field.get_by_label("Load a mask from a file").click()
    chooser.value.set_files(tmp_path / "right.png")
    expect(message).to_be_hidden()
    inpaint.page.wait_for_function("!document.querySelector('#inpaint_image .undo').disabled")
    assert set(inpaint.painted()) == {(x, y) for x in range(10, 40) for y in range(20, 50)}


def test_a_file_that_is_no_picture_is_one_sentence(inpaint: Studio, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    inpaint.part("image").get_by_text("Remove picture").click()
    inpaint.part("image").locator("input[type=file]").set_input_files(str(broken))
    expect(inpaint.part("image").locator(".canvas-message")).to_contain_text("not a picture")


def test_the_size_can_be_taken_from_the_picture(inpaint: Studio) -> None:
    inpaint.part("detect_image_size_btn").click()
    inpaint.expect_numbers(width=200, height=120)
