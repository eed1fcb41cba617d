"""Extra input channels of special checkpoints: what an inpainting or editing network sees of the picture."""

import torch
import torch.nn.functional as F
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.exceptions import RequestError
from modules.generation.latents import encode_pixels

__all__ = ["blank_conditioning", "source_conditioning"]


def blank_conditioning(model: LoadedModel, width: int, height: int, seed: int) -> Tensor | None:
    """Extra channels when there is no picture to start from, (1, K, h, w); None for plain checkpoints.

    Raises:
        RequestError: the checkpoint cannot work without a picture.
    """
    kind = model.family.extra_channels
    if kind == "none":
        return None
    if kind == "inpaint":  # a grey picture, all of it to be painted
        latent = encode_pixels(model, torch.zeros(1, 3, height, width), seed)
        return torch.cat([torch.ones_like(latent[:, :1]), latent], dim=1)
    if kind == "depth":  # everything equally far away
        return torch.zeros(1, 1, height // model.latent_factor, width // model.latent_factor)
    raise RequestError("checkpoint", f"{model.file.stem} needs a picture to start from; use it in img2img")


def source_conditioning(
    model: LoadedModel,
    pixels: Tensor,
    latent: Tensor,
    mask: Tensor | None,
    *,
    mask_weight: float,
    seed: int | None = None,
) -> Tensor | None:
    """Extra channels for a source picture, (1, K, h, w); None for plain checkpoints.

    Args:
        model: decides which channels.
        pixels: the prepared source, (1, 3, H, W) in [-1, 1].
        latent: its latent, (1, C, h, w).
        mask: 1 where the picture is to be repainted, (1, 1, H, W); None repaints all of it.
        mask_weight: how fully the masked pixels are hidden (``inpainting_mask_weight``).
        seed: see :func:`~modules.generation.latents.encode_pixels`.

    Raises:
        RequestError: the checkpoint needs a condition that cannot be computed.
    """
    kind = model.family.extra_channels
    if kind == "none":
        return None
    if kind == "edit":
        mean, _ = model.encode(pixels)
        return mean
    if kind == "inpaint":
        hidden = torch.ones(1, 1, *pixels.shape[-2:]) if mask is None else mask
        visible = torch.lerp(pixels, pixels * (1 - hidden), mask_weight)
        small = F.interpolate(hidden, size=latent.shape[-2:])
        return torch.cat([small, encode_pixels(model, visible, seed)], dim=1)
    return _depth_channel(model, pixels, latent)


def _depth_channel(model: LoadedModel, pixels: Tensor, latent: Tensor) -> Tensor:
    """Depth of the picture at the latent's size, (1, 1, h, w), from -1 for the farthest cell to 1."""
    depth = F.interpolate(
        model.estimate_depth(pixels), size=latent.shape[-2:], mode="bicubic", align_corners=False
    )
    low, high = depth.aminmax()
    return torch.zeros_like(depth) if low == high else 2.0 * (depth - low) / (high - low) - 1.0
