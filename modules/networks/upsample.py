"""The finer grid of U-Nets and autoencoders."""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Upsample"]


class Upsample(nn.Module):
    """Double the sides by repetition, then convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C, 2h, 2w)."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out
