from pathlib import Path

import numpy as np
from PIL import Image

from modules.imaging.color_correction import color_target, correct_colors
from modules.imaging.lab import lab_to_rgb, rgb_to_lab

INPUTS = Path(__file__).parents[1] / "golden" / "inputs"

# cv2.cvtColor of OpenCV 4.9 on 8-bit pixels
LAB = {
    (0, 0, 0): (0, 128, 128),
    (255, 255, 255): (255, 128, 128),
    (255, 0, 0): (136, 208, 195),
    (0, 255, 0): (224, 42, 211),
    (0, 0, 255): (82, 207, 20),
    (12, 34, 56): (33, 128, 111),
    (200, 100, 50): (137, 164, 173),
}
RGB = {(136, 208, 195): (255, 2, 1), (50, 128, 128): (47, 48, 47), (200, 10, 250): (0, 235, 0)}


def test_lab_values_are_those_of_the_reference() -> None:
    pixels = np.array([list(LAB)], dtype=np.uint8)

    np.testing.assert_array_equal(rgb_to_lab(pixels)[0], list(LAB.values()))


def test_the_way_back_gives_the_values_of_the_reference() -> None:
    pixels = np.array([list(RGB)], dtype=np.uint8)

    np.testing.assert_array_equal(lab_to_rgb(pixels)[0], list(RGB.values()))


def test_there_and_back_stays_within_the_rounding_of_eight_bits() -> None:
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    pixels = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)

    assert np.abs(lab_to_rgb(rgb_to_lab(pixels)).astype(int) - pixels).mean() < 1.5


def test_a_picture_corrected_to_itself_hardly_changes() -> None:
    with Image.open(INPUTS / "init64.png") as opened:
        image = opened.convert("RGB")

    corrected = correct_colors(image, color_target(image))

    assert np.abs(np.asarray(corrected).astype(int) - np.asarray(image)).mean() < 2


def test_hues_come_from_the_target_and_brightness_stays() -> None:
    gradient = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    red = Image.merge(
        "RGB", (Image.linear_gradient("L"), Image.new("L", (256, 256)), Image.new("L", (256, 256)))
    )

    corrected = correct_colors(gradient, color_target(red))

    mean = np.asarray(corrected).reshape(-1, 3).mean(axis=0)
    assert mean[0] > mean[1] + 20
    difference = np.asarray(corrected.convert("L")).astype(int) - np.asarray(gradient.convert("L"))
    assert np.abs(difference).max() <= 2
