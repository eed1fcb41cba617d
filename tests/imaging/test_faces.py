"""Faces are cut out upright and put back where they were."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from modules.imaging.faces import FACE_SIDE, align_face, restore_faces

TEMPLATE = np.array(
    [[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]]
)


def placed(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    """Points of a face that is scaled, turned and moved."""
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved: np.ndarray = (TEMPLATE - 256) @ matrix.T * scale + [x, y]
    return moved


def photograph() -> Image.Image:
    y, x = np.mgrid[0:300, 0:400] / 60
    colours = [np.sin(x) * np.cos(y), np.cos(x + y), np.sin(y - x)]
    return Image.fromarray(((np.stack(colours, 2) + 1) * 127).astype(np.uint8))


@pytest.mark.parametrize(("scale", "degrees"), [(0.2, 0.0), (0.3, 35.0), (0.25, -160.0), (2.0, 0.0)])
def test_the_points_of_a_face_come_to_their_places(scale: float, degrees: float) -> None:
    points = placed(scale, degrees, 150, 120)
    matrix = align_face(points).matrix
    assert np.abs(points @ matrix[:, :2].T + matrix[:, 2] - TEMPLATE).max() < 0.05


def test_a_face_that_is_left_as_it_is_cannot_be_seen() -> None:
    picture = photograph()
    same = restore_faces(picture, [placed(0.3, 20.0, 190, 150)], lambda face: face)
    assert np.abs(np.asarray(same).astype(int) - np.asarray(picture)).max() <= 3


def test_only_the_face_changes_and_its_border_is_soft() -> None:
    picture = photograph()
    faces: list[tuple[int, int]] = []

    def inverted(face: Image.Image) -> Image.Image:
        faces.append(face.size)
        return ImageOps.invert(face)

    changed = restore_faces(picture, [placed(0.3, 0.0, 190, 150)], inverted)
    difference = np.abs(np.asarray(changed).astype(int) - np.asarray(picture)).max(2)
    half = int(FACE_SIDE * 0.3 / 2)
    assert faces == [(FACE_SIDE, FACE_SIDE)]
    assert np.median(difference[150 - half // 2 : 150 + half // 2, 190 - half // 2 : 190 + half // 2]) > 60
    outside = difference.copy()
    outside[150 - half : 150 + half, 190 - half : 190 + half] = 0
    assert outside.max() <= 1


def test_a_picture_without_faces_stays_the_same() -> None:
    picture = photograph()
    assert restore_faces(picture, [], lambda face: face) is picture
