"""Cutting faces out upright and at one size, and putting them back without a seam.

Source: the five points of a face in a 512-pixel picture are those of the FFHQ data set's alignment, which all
face restorers were trained with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

__all__ = ["FACE_SIDE", "FaceAlignment", "Landmarks", "align_face", "restore_faces"]

FACE_SIDE = 512  # pixels
BORDER = 24  # pixels of a face's edge that stay the original's
FEATHER = 16  # radius in pixels over which the rest fades in

Landmarks = NDArray[np.float64]
"""Left eye, right eye, tip of the nose, left and right corner of the mouth: (5, 2), x and y in pixels."""

_TEMPLATE = np.array([
    [192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935], [201.26117, 371.41043],
    [313.08905, 371.15118],
])  # fmt: skip


@dataclass(frozen=True)
class FaceAlignment:
    """Where a face lies: ``point in face = scale-and-turn @ point in picture + shift``.

    Attributes:
        matrix: (2, 3), picture to face; without shear or mirroring.
    """

    matrix: NDArray[np.float64]

    @property
    def back(self) -> NDArray[np.float64]:
        """(2, 3), face to picture."""
        turn = np.linalg.inv(self.matrix[:, :2])
        return np.hstack([turn, -turn @ self.matrix[:, 2:]])

    def cut(self, image: Image.Image) -> Image.Image:
        """The face, upright, ``FACE_SIDE`` pixels a side."""
        return _warped(image, self.back, (FACE_SIDE, FACE_SIDE))

    def put_back(self, image: Image.Image, face: Image.Image) -> Image.Image:
        """The picture with the face in its place; its border fades into the picture."""
        inner = FACE_SIDE - 2 * BORDER
        mask = Image.new("L", (FACE_SIDE, FACE_SIDE))
        mask.paste(255, (BORDER, BORDER, BORDER + inner, BORDER + inner))
        mask = mask.filter(ImageFilter.GaussianBlur(FEATHER / 2))
        placed, shown = (_warped(each, self.matrix, image.size) for each in (face, mask))
        return Image.composite(placed, image, shown)


def align_face(landmarks: Landmarks) -> FaceAlignment:
    """Turn, scale and shift that bring five points of a face as near to where they belong as can be.

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns".
    """
    source, target = landmarks - landmarks.mean(0), _TEMPLATE - _TEMPLATE.mean(0)
    left, lengths, right = np.linalg.svd(target.T @ source)
    signs = np.array([1.0, np.sign(np.linalg.det(left @ right))])  # a face is never mirrored
    turn = (left * signs) @ right * ((lengths * signs).sum() / (source**2).sum())
    shift = _TEMPLATE.mean(0) - turn @ landmarks.mean(0)
    return FaceAlignment(np.hstack([turn, shift[:, None]]))


def restore_faces(
    image: Image.Image, faces: Sequence[Landmarks], restore: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Run ``restore`` on each face of a picture.

    Args:
        image: mode RGB.
        faces: their points.
        restore: an upright face, ``FACE_SIDE`` pixels a side, to a better one of the same size.
    """
    result = image
    for landmarks in faces:
        alignment = align_face(landmarks)
        result = alignment.put_back(result, restore(alignment.cut(image)))
    return result


def _warped(image: Image.Image, matrix: NDArray[np.float64], size: tuple[int, int]) -> Image.Image:
    """``matrix`` leads from a point of the result to one of ``image``; Pillow counts from pixels' centres."""
    numbers = tuple(float(number) for number in matrix.flatten())
    return image.transform(size, Image.Transform.AFFINE, numbers, Image.Resampling.BICUBIC)
