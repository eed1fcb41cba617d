from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.studio_page import Studio

SIZE = (160, 96)
GREY = (90, 90, 90)
RED = "#ff0000"
REACH = 14  # pixels over which the default mask blur of 4 fades


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "in.png"
    Image.new("RGB", SIZE, GREY).save(path)
    return str(path)


@pytest.fixture
def img2img(studio: Studio) -> Studio:
    img2img = studio.open("img2img").begin_anew()
    img2img.part("settings").get_by_role("tab", name="Resize to").click()
    img2img.set_number("steps", 2)
    return img2img


def started(studio: Studio, mode: str, field: str, picture: str) -> Studio:
    """The mode, open, with a picture and the size of the picture."""
    studio.open_mode(mode)
    studio.put_picture(picture, field)
    studio.part("detect_image_size_btn").click()
    studio.expect_numbers(width=SIZE[0], height=SIZE[1])
    return studio


def choose_red(studio: Studio, field: str) -> None:
    studio.part(field).get_by_label("Colour", exact=True).fill(RED)


def drawn(studio: Studio, field: str) -> np.ndarray:
    """(H, W) bool, where something is painted."""
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    for x, y in studio.painted(field):
        mask[y, x] = True
    return mask


def test_a_sketch_reaches_the_server_in_its_colours(img2img: Studio, picture: str) -> None:
    field = "#img2img_sketch"
    started(img2img, "Sketch", field, picture)
    expect(img2img.part("mask_blur")).to_be_hidden()
    choose_red(img2img, field)
    img2img.stroke([(0.2, 0.5), (0.6, 0.5)], field)
    mask = drawn(img2img, field)
    img2img.picture_of_new_job()
    pixels = img2img.result_pixels()
    red = np.all(pixels == (255, 0, 0), axis=-1)
    assert red.sum() > 400
    assert mask[red].all()
    assert (pixels[~mask] == GREY).all(axis=-1).mean() > 0.98  # the rest is the edge of the brush


def test_an_inpaint_sketch_changes_only_what_was_painted(img2img: Studio, picture: str) -> None:
    field = "#inpaint_sketch"
    started(img2img, "Inpaint sketch", field, picture)
    expect(img2img.part("mask_alpha")).to_be_visible()
    img2img.part("generate").click()
    expect(img2img.part(field).locator(".field-error")).to_contain_text("Paint on the picture")
    choose_red(img2img, field)
    img2img.stroke([(0.4, 0.5), (0.5, 0.5)], field)
    mask = drawn(img2img, field)
    img2img.picture_of_new_job()
    pixels = img2img.result_pixels()
    changed = np.any(pixels != GREY, axis=-1)
    assert changed[mask].all()
    ys, xs = np.nonzero(mask)
    far = np.ones_like(mask)
    far[max(0, ys.min() - REACH) : ys.max() + REACH, max(0, xs.min() - REACH) : xs.max() + REACH] = False
    assert not changed[far].any()


def test_an_uploaded_mask_decides_what_changes(img2img: Studio, picture: str, tmp_path: Path) -> None:
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    mask[30:60, 50:100] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    started(img2img, "Inpaint upload", "#img_inpaint_base", picture)
    img2img.part("generate").click()
    expect(img2img.part("#img_inpaint_mask").locator(".field-error")).to_contain_text("Choose a mask")
    img2img.put_picture(str(tmp_path / "mask.png"), "#img_inpaint_mask")
    img2img.picture_of_new_job()
    changed = np.any(img2img.result_pixels() != GREY, axis=-1)
    assert np.array_equal(changed, mask > 0)


def test_a_batch_makes_a_job_of_each_file(img2img: Studio, tmp_path: Path) -> None:
    paths = []
    for shade in (40, 120, 200):
        paths.append(str(tmp_path / f"{shade}.png"))
        Image.new("RGB", SIZE, (shade, shade, shade)).save(paths[-1])
    img2img.open_mode("Batch")
    img2img.part("#img2img_batch_upload").locator("input[type=file]").set_input_files(paths)
    expect(img2img.part("#img2img_batch_upload").get_by_text("200")).to_be_visible()
    img2img.generate()
    img2img.wait_for_picture()
    thumbs = img2img.part("gallery").locator(".thumb")
    expect(thumbs).to_have_count(3)
    shades = []
    for place in range(3):
        thumbs.nth(place).click()
        wanted = thumbs.nth(place).get_attribute("data-id")
        img2img.part("gallery").locator(f'.stage-image[src="files/{wanted}"]:not([aria-busy])').wait_for()
        shades.append(int(img2img.result_pixels()[0, 0, 0]))
    assert shades == [40, 120, 200]


def test_a_picture_is_copied_with_its_paint_and_scaled(img2img: Studio, picture: str) -> None:
    started(img2img, "Sketch", "#img2img_sketch", picture)
    choose_red(img2img, "#img2img_sketch")
    img2img.stroke([(0.2, 0.5), (0.6, 0.5)], "#img2img_sketch")
    img2img.part("copy_to_img2img").click()
    img2img.page.wait_for_selector('#img2img_page[data-mode="img2img"]')
    img2img.part("image").locator('.canvas-view[data-ready="true"]').wait_for()
    img2img.part("settings").get_by_role("tab", name="Resize by").click()
    img2img.set_number("scale", 1.5)
    expect(img2img.part("scale_resolution_preview")).to_have_text("From 160×96 to 240×144")
    img2img.picture_of_new_job()
    pixels = img2img.result_pixels()
    assert pixels.shape == (144, 240, 3)
    assert tuple(pixels[72, 96]) == (255, 0, 0)
