"""Cutting pictures for a training set."""

import numpy as np
import pytest
from PIL import Image

from modules.domain.extras import AutoSizedCrop, FocalCrop, SplitOversized
from modules.imaging.crops import auto_sized_crop, flipped_copies, focal_crop, split_oversized


def noise_at(box: tuple[int, int, int, int], size: tuple[int, int] = (400, 200)) -> Image.Image:
    """A plain picture with detail in one place."""
    left, top, right, bottom = box
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    shape = (bottom - top, right - left, 3)
    pixels[top:bottom, left:right] = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(100, 500), (500, 100)])
def test_long_pictures_become_overlapping_pieces(size: tuple[int, int]) -> None:
    gradient = Image.linear_gradient("L").resize(size)
    pieces = split_oversized(gradient, 100, 100, SplitOversized(threshold=0.5, overlap=0.2))
    assert [piece.size for piece in pieces] == [(100, 100)] * 6  # (500 - 20) / 80
    ends = gradient.crop((0, 0, 100, 100)), gradient.crop((size[0] - 100, size[1] - 100, *size))
    for piece, end in ((pieces[0], ends[0]), (pieces[-1], ends[1])):
        assert np.abs(np.asarray(piece).astype(int) - np.asarray(end)).max() <= 1


@pytest.mark.parametrize("size", [(100, 100), (100, 150), (150, 100)])
def test_pictures_of_nearly_the_right_proportions_stay_whole(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size)
    assert split_oversized(picture, 100, 100, SplitOversized(threshold=0.5)) == [picture]


def test_the_crop_goes_where_the_detail_is() -> None:
    detail = focal_crop(noise_at((300, 40, 380, 160)), 200, 200, FocalCrop())
    assert detail.size == (200, 200)
    assert np.asarray(detail).std() > np.asarray(noise_at((300, 40, 380, 160)).crop((0, 0, 200, 200))).std()
    left = focal_crop(noise_at((20, 40, 100, 160)), 200, 200, FocalCrop())
    assert np.asarray(left)[:, :120].std() > 20


def test_faces_draw_the_crop_to_them() -> None:
    plain = Image.new("RGB", (400, 200), "grey")
    plain.paste("red", (350, 0, 400, 200))
    only_faces = FocalCrop(face_weight=1, entropy_weight=0, edges_weight=0)
    crop = focal_crop(plain, 200, 200, only_faces, faces=[(390.0, 100.0)])
    assert crop.getpixel((199, 100)) == (255, 0, 0)
    assert focal_crop(plain, 200, 200, only_faces).getpixel((199, 100)) == (128, 128, 128)


def test_a_plain_picture_is_cut_in_the_middle() -> None:
    assert focal_crop(Image.new("L", (3, 1)), 8, 8, FocalCrop()).size == (8, 8)


def test_auto_sized_crops_fit_the_proportions() -> None:
    wide = auto_sized_crop(Image.new("RGB", (1600, 900)), AutoSizedCrop())
    assert wide is not None
    assert wide.size == (768, 448)
    assert wide.width * wide.height <= 409_600
    exact = auto_sized_crop(Image.new("RGB", (1600, 900)), AutoSizedCrop(objective="Minimize error"))
    assert exact is not None
    assert exact.size == (704, 384)


def test_no_fitting_size_leaves_the_picture_alone() -> None:
    assert auto_sized_crop(Image.new("RGB", (1000, 10)), AutoSizedCrop()) is None


def test_copies_are_mirrored_and_each_kind_comes_once() -> None:
    picture = Image.new("RGB", (2, 2))
    picture.putpixel((0, 0), (255, 0, 0))
    copies = flipped_copies(picture, ["Both", "Horizontal", "Vertical", "Vertical"])
    red = [next(xy for xy in np.ndindex(2, 2) if copy.getpixel(xy) == (255, 0, 0)) for copy in copies]
    assert red == [(1, 0), (0, 1), (1, 1)]
