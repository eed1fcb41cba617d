"""Noise that continues a picture."""

import numpy as np

from modules.imaging.matched_noise import Pixels, matched_noise


def halves(height: int = 64, width: int = 96) -> tuple[Pixels, Pixels]:
    """A reddish picture whose right half is to be painted."""
    generator = np.random.default_rng(3)
    image = np.zeros((height, width, 3))
    image[:, : width // 2] = generator.random((height, width // 2, 3)) * (0.8, 0.2, 0.1)
    mask = np.zeros_like(image)
    mask[:, width // 2 :] = 1
    return image, mask


def test_what_is_kept_stays_to_the_bit() -> None:
    image, mask = halves()
    assert np.array_equal(matched_noise(image, mask)[:, :48], image[:, :48])


def test_the_noise_has_the_colours_of_the_picture() -> None:
    image, mask = halves()
    painted = matched_noise(image, mask)[:, 48:]
    assert np.allclose(np.sort(painted[..., 0].ravel()).mean(), image[:, :48, 0].mean(), atol=0.02)
    assert painted[..., 0].std() > 2 * painted[..., 2].std()


def test_the_noise_is_the_same_each_time_and_bounded() -> None:
    image, mask = halves()
    first, second = matched_noise(image, mask, colour=0.5), matched_noise(image, mask, colour=0.5)
    assert np.array_equal(first, second)
    assert first.min() >= 0
    assert first.max() <= 1


def test_a_black_picture_and_full_or_empty_masks_are_no_trouble() -> None:
    image, mask = halves()
    for picture, cover in ((image * 0, mask), (image, mask * 0), (image, mask * 0 + 1)):
        assert np.isfinite(matched_noise(picture, cover)).all()


def test_a_lower_exponent_keeps_more_fine_detail() -> None:
    image, mask = halves()
    fine, coarse = (
        np.abs(np.diff(matched_noise(image, mask, falloff=f)[:, 48:], axis=1)).mean() for f in (0.0, 2.0)
    )
    assert fine > coarse
