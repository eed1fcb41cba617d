"""Classifier-free guidance: combine what the network says with and without the prompt.

All tensors are network answers of one shape (B, C, h, w): denoised latents for sigma samplers, noise for
timestep samplers.
"""

from collections.abc import Sequence

from torch import Tensor

__all__ = ["classifier_free_guidance", "edit_guidance"]


def classifier_free_guidance(
    conds: Sequence[Tensor], weights: Sequence[float], uncond: Tensor, scale: float
) -> Tensor:
    """Move from ``uncond`` towards each cond: uncond + sum of weight * scale * (cond - uncond).

    Args:
        conds: one answer for each part of the prompt (parts are joined by AND).
        weights: the parts' weights, as many as ``conds``.
        uncond: the answer for the negative prompt.
        scale: cfg_scale; 1 with one part of weight 1 gives that part's answer alone, 0 gives ``uncond``.

    Source: Ho & Salimans 2022, "Classifier-Free Diffusion Guidance", eq. 6; several conds: Liu et al. 2022,
    "Compositional Visual Generation with Composable Diffusion Models", eq. 11.
    """
    guided = uncond
    for cond, weight in zip(conds, weights, strict=True):
        guided = guided + (cond - uncond) * (weight * scale)
    return guided


def edit_guidance(
    cond: Tensor, image_only: Tensor, uncond: Tensor, *, scale: float, image_scale: float
) -> Tensor:
    """Guide an edit by its instruction and by the picture that is edited.

    Args:
        cond: the answer given instruction and picture.
        image_only: the answer given the negative prompt and the picture.
        uncond: the answer given the negative prompt and no picture.
        scale: strength of the instruction (cfg_scale).
        image_scale: closeness to the picture (image_cfg_scale).

    Source: Brooks et al. 2023, "InstructPix2Pix", eq. 3.
    """
    return uncond + scale * (cond - image_only) + image_scale * (image_only - uncond)
