import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.imaging.blur import gaussian_weights
from modules.imaging.inpaint import prepare_image, prepare_mask
from modules.imaging.masks import (
    apply_overlay,
    binary_mask,
    blur_mask,
    crop_region,
    expand_crop_region,
    fill_masked,
    latent_mask,
    mask_composite,
    overlay_image,
    uncrop,
    whole_picture_overlay_mask,
)

GOLDEN = Path(__file__).parents[1] / "golden"


def open_input(name: str) -> Image.Image:
    with Image.open(GOLDEN / "inputs" / name) as image:
        return image.copy()


def square_mask(size: int = 64, start: int = 16, end: int = 48) -> Image.Image:
    mask = Image.new("L", (size, size))
    mask.paste(255, (start, start, end, end))
    return mask


RECORDED: dict[str, list[str]] = json.loads(
    Path(__file__).with_name("latent_masks.json").read_text(encoding="utf-8")
)  # reference case -> rows of the latent mask that its sampler was given


@pytest.mark.parametrize("case", sorted(RECORDED))
def test_the_latent_mask_is_the_reference_s(case: str) -> None:
    body = json.loads((GOLDEN / "cases" / case / "request.json").read_text(encoding="utf-8"))
    blur = body.get("mask_blur")

    prepared = prepare_mask(
        open_input(body["mask"].rpartition("/")[2]),
        body["width"],
        body["height"],
        resize_mode=body.get("resize_mode", 0),
        invert=bool(body.get("inpainting_mask_invert", 0)),
        blur_x=body.get("mask_blur_x", 4) if blur is None else blur,
        blur_y=body.get("mask_blur_y", 4) if blur is None else blur,
        only_masked=body.get("inpaint_full_res", True),
        padding=body.get("inpaint_full_res_padding", 0),
    )

    assert prepared is not None
    cells = latent_mask(prepared.mask, body["width"] // 8, body["height"] // 8)
    assert ["".join(str(int(cell)) for cell in row) for row in cells] == RECORDED[case]


def test_regions_are_the_reference_s() -> None:
    cases = json.loads((GOLDEN / "units" / "crop_regions.json").read_text(encoding="utf-8"))

    assert len(cases) == 36
    for name, padding, width, height, region, expanded in cases:
        mask = open_input(f"{name}.png").convert("L")
        found = crop_region(mask, padding)
        assert found == tuple(region)
        assert expand_crop_region(found, width, height, mask.size) == tuple(expanded)


def test_a_black_mask_has_no_region() -> None:
    assert crop_region(Image.new("L", (8, 8)), 4) is None
    assert prepare_mask(Image.new("L", (8, 8)), 8, 8, only_masked=True) is None


def test_transparency_is_the_mask_where_there_is_some() -> None:
    image = Image.new("RGBA", (3, 1), (255, 255, 255, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    image.putpixel((2, 0), (0, 0, 0, 129))

    assert list(binary_mask(image).tobytes()) == [0, 0, 255]
    assert list(binary_mask(image, round_values=False).tobytes()) == [0, 128, 129]


def test_brightness_is_the_mask_of_an_opaque_picture() -> None:
    assert list(binary_mask(Image.new("RGBA", (1, 1), (100, 100, 100, 255))).tobytes()) == [100]
    assert list(binary_mask(Image.new("RGB", (1, 1), (255, 0, 0))).tobytes()) == [76]


def test_blur_weights_are_those_of_the_reference_filter() -> None:
    # read off cv2.GaussianBlur(one white column on black, (n, 1), sigma), OpenCV 4.9
    assert gaussian_weights(7, 1.0) == (1, 14, 62, 102, 62, 14, 1)
    assert sum(gaussian_weights(21, 4.0)) == 256


def test_blurring_goes_each_way_as_far_as_its_own_sigma() -> None:
    mask = square_mask()

    wide = np.asarray(blur_mask(mask, 4, 0))
    assert (wide[:16] == 0).all()
    assert wide[32, 15] > 0
    assert np.asarray(blur_mask(mask, 0, 4))[15, 32] > 0
    assert blur_mask(mask, 0, 0).tobytes() == mask.tobytes()


def test_a_mask_narrower_than_its_blur_keeps_its_range() -> None:
    blurred = np.asarray(blur_mask(Image.new("L", (3, 1), 255), 64, 64))

    assert (blurred == 255).all()


def test_filling_replaces_only_what_is_masked() -> None:
    image = Image.new("RGB", (64, 64), (200, 40, 40))
    image.paste((0, 255, 0), (16, 16, 48, 48))

    filled = np.asarray(fill_masked(image, square_mask()))

    assert (np.abs(filled.astype(int) - [200, 40, 40]) <= 6).all()


def test_the_overlay_keeps_the_original_outside_the_mask() -> None:
    original = open_input("init64.png").convert("RGB")
    mask = square_mask()
    result = Image.new("RGB", (64, 64), (1, 2, 3))

    merged = np.asarray(apply_overlay(result, overlay_image(original, mask), None))

    inside = np.asarray(mask) > 0
    assert (merged[inside] == [1, 2, 3]).all()
    assert (merged[~inside] == np.asarray(original)[~inside]).all()


def test_a_part_is_put_back_at_its_place() -> None:
    placed = np.asarray(uncrop(Image.new("RGB", (32, 32), (9, 9, 9)), (64, 64), (8, 24, 16, 16)))

    assert (placed[24:40, 8:24] == [9, 9, 9, 255]).all()
    assert placed[..., 3].sum() == 255 * 16 * 16


def test_the_composite_shows_only_the_repainted_part() -> None:
    composite = np.asarray(mask_composite(Image.new("RGB", (64, 64), (9, 9, 9)), square_mask()))

    assert (composite[20:44, 20:44] == [9, 9, 9, 255]).all()
    assert (composite[:12, :, 3] == 0).all()


def test_the_overlay_mask_of_a_whole_picture_is_twice_as_bright() -> None:
    mask = Image.frombytes("L", (3, 1), bytes([0, 100, 200]))

    assert list(whole_picture_overlay_mask(mask).tobytes()) == [0, 200, 255]


def test_working_on_the_masked_part_crops_both_picture_and_mask() -> None:
    original = open_input("init128.png").convert("RGB")
    mask = prepare_mask(open_input("maskcorner128.png"), 64, 64, only_masked=True, padding=16)

    assert mask is not None
    assert mask.region is not None
    prepared = prepare_image(original, 64, 64, mask=mask)
    assert prepared.image.size == mask.mask.size == (64, 64)
    assert prepared.overlay is not None
    assert prepared.overlay.size == (128, 128)
    x, y, width, height = mask.paste_to or (0, 0, 0, 0)
    assert (x, y, x + width, y + height) == mask.region


@pytest.mark.parametrize("resize_mode", [0, 1, 2, 3])
def test_a_mask_of_another_size_than_the_picture_is_fitted(resize_mode: int) -> None:
    mask = prepare_mask(open_input("mask96x80.png"), 64, 64, resize_mode=resize_mode)

    assert mask is not None
    prepared = prepare_image(
        open_input("init160x96.png"), 64, 64, mask=mask, resize_mode=resize_mode, masked_content=0
    )
    assert prepared.overlay is not None
    assert prepared.overlay.size == prepared.image.size


def test_transparent_parts_of_a_start_picture_get_the_background() -> None:
    prepared = prepare_image(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), 8, 8, background="#ff0000")

    assert prepared.image.getpixel((0, 0)) == (255, 0, 0)
