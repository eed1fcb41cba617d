import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from modules.imaging.soft_inpaint import gaussian_kernel, histogram_filter, soft_overlay, soft_overlay_mask


def one_by_one(
    values: NDArray[np.float32], kernel: NDArray[np.float64], lowest: float, highest: float
) -> NDArray[np.float32]:
    """The definition, cell by cell: sort, stack the weights, average what the range covers."""
    result = values.copy()
    rows, columns = values.shape
    for row in range(rows):
        for column in range(columns):
            near = sorted(
                (float(values[y, x]), float(kernel[y - row + 2, x - column + 2]))
                for y in range(max(0, row - 2), min(rows, row + 3))
                for x in range(max(0, column - 2), min(columns, column + 3))
            )
            total = sum(weight for _, weight in near)
            start, end = total * lowest, total * highest
            if end - start < 1:
                start, end = (start + end) / 2 - 0.5, (start + end) / 2 + 0.5
                if end > total:
                    start, end = total - 1, total
                if start < 0:
                    start, end = 0, 1
            height = covered = mean = 0.0
            for value, weight in near:
                part = max(0.0, min(end, height + weight) - max(start, height))
                mean, covered, height = mean + value * part, covered + part, height + weight
            result[row, column] = mean / covered
    return result


def test_the_kernel_is_one_in_the_middle_and_fades_to_nothing() -> None:
    kernel = gaussian_kernel(1.5, 2)

    assert kernel.shape == (5, 5)
    assert kernel[2, 2] == 1
    assert kernel[0, 0] == pytest.approx(max(0, (np.exp(-8 / 2.25) - np.exp(-4)) / (1 - np.exp(-4))))


@pytest.mark.parametrize(("lowest", "highest"), [(0.9, 1.0), (0.25, 0.75)])
def test_the_filter_is_its_definition(lowest: float, highest: float) -> None:
    values = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    kernel = gaussian_kernel(1.5, 2)

    filtered = histogram_filter(values, kernel, lowest=lowest, highest=highest)

    np.testing.assert_allclose(filtered, one_by_one(values, kernel, lowest, highest), atol=1e-6)


def test_a_constant_plane_stays_constant() -> None:
    plane = np.full((6, 6), 3.5, dtype=np.float32)

    np.testing.assert_allclose(
        histogram_filter(plane, gaussian_kernel(1.5, 2), lowest=0.9, highest=1.0), plane
    )


def test_what_changed_is_shown_and_what_did_not_is_kept() -> None:
    distance = np.zeros((16, 16), dtype=np.float32)
    distance[:, 8:] = 5.0

    mask = np.asarray(soft_overlay_mask(distance, np.ones((16, 16), dtype=np.float32), 128, 128))

    assert (mask[:, :24] == 0).all()
    assert (mask[:, 110:] > 240).all()


def test_the_mask_has_a_say_where_it_was_given_one() -> None:
    distance = np.full((8, 8), 0.5, dtype=np.float32)
    paint = np.ones((8, 8), dtype=np.float32)
    paint[:, :4] = 0.01

    mask = np.asarray(soft_overlay_mask(distance, paint, 64, 64, mask_influence=0.9))

    assert mask[:, 8].mean() < 20
    assert mask[:, 56].mean() > 200


def test_a_mask_that_decides_alone_divides_nothing_by_nothing() -> None:
    zero, one = np.zeros((4, 4), dtype=np.float32), np.ones((4, 4), dtype=np.float32)

    assert np.asarray(soft_overlay_mask(zero, one, 32, 32, mask_influence=1.0)).max() == 0
    assert np.asarray(soft_overlay_mask(one, one, 32, 32, mask_influence=1.0)).min() == 255


def test_outside_the_part_that_was_worked_on_the_original_stays() -> None:
    original = Image.new("RGB", (32, 32), (10, 20, 30))

    overlay = np.asarray(soft_overlay(original, Image.new("L", (8, 8), 255), (8, 8, 16, 16)))

    assert (overlay[8:24, 8:24, 3] == 0).all()
    assert (overlay[:8] == [10, 20, 30, 255]).all()
