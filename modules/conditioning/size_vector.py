"""Sizes as conditioning: what SDXL is told about the picture beside the text.

Source: Podell et al. 2023, "SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis",
section 2.2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from modules.conditioning.options import EncodingOptions
from modules.families.family import SizeConditioning
from modules.networks.unet import timestep_embedding

__all__ = ["number_features", "size_vector"]

FEATURES = 256  # of each number


def size_vector(
    kind: SizeConditioning, width: int, height: int, options: EncodingOptions, *, is_negative: bool
) -> Tensor:
    """Embed the numbers that follow the pooled text.

    Args:
        kind: "sdxl" is original size, crop and target size; "refiner" is original size, crop and score.
        width: of the picture, in pixels; original and target size are the same.
        height: of the picture, in pixels.
        options: crop and aesthetic scores.
        is_negative: chooses the low aesthetic score.

    Returns:
        (256 * numbers,) float32; empty for kind "none".
    """
    size = [height, width]
    crop = [options.sdxl_crop_top, options.sdxl_crop_left]
    score = options.low_aesthetic_score if is_negative else options.high_aesthetic_score
    numbers: dict[SizeConditioning, list[float]] = {
        "none": [],
        "sdxl": [*size, *crop, *size],
        "refiner": [*size, *crop, score],
    }
    return number_features(numbers[kind])


def number_features(numbers: Sequence[float]) -> Tensor:
    """Embed sizes, places or scores one by one; (256 * numbers,) float32."""
    return timestep_embedding(torch.tensor(numbers, dtype=torch.float32), FEATURES).flatten()
