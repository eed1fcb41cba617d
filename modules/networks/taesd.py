"""The tiny autoencoder for Stable Diffusion (TAESD): the VAE's work at a hundredth of its cost.

Latents are in the scale of the U-Net (no factor is applied), pictures in 0..1. Parameter names are those of
the published ``taesd*_encoder.pth`` and ``taesd*_decoder.pth``.

Source: Bohan 2023, "Tiny AutoEncoder for Stable Diffusion".
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TinyDecoder", "TinyEncoder"]

CHANNELS = 64
LATENT_CHANNELS = 4
LATENT_RANGE = 3.0  # latents are squeezed softly into -3..3, where the decoder was trained


class TinyBlock(nn.Module):
    """Three convolutions around which the input is added."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(CHANNELS, CHANNELS),
            nn.ReLU(),
            _conv(CHANNELS, CHANNELS),
            nn.ReLU(),
            _conv(CHANNELS, CHANNELS),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 64, h, w) to the same shape."""
        return F.relu(self.conv(x) + x)


class SoftClamp(nn.Module):
    """Keeps outliers within the range the decoder knows."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return torch.tanh(x / LATENT_RANGE) * LATENT_RANGE


class TinyDecoder(nn.Sequential):
    """Latents (B, 4, h, w) to pictures (B, 3, 8h, 8w), about 0..1."""

    def __init__(self) -> None:
        doublings = [
            layer
            for _ in range(3)
            for layer in (
                TinyBlock(),
                TinyBlock(),
                TinyBlock(),
                nn.Upsample(scale_factor=2),
                _conv(bias=False),
            )
        ]
        super().__init__(
            SoftClamp(), _conv(LATENT_CHANNELS), nn.ReLU(), *doublings, TinyBlock(), _conv(out_channels=3)
        )


class TinyEncoder(nn.Sequential):
    """Pictures (B, 3, H, W) in 0..1 to latents (B, 4, H/8, W/8)."""

    def __init__(self) -> None:
        halvings = [
            layer
            for _ in range(3)
            for layer in (_conv(stride=2, bias=False), TinyBlock(), TinyBlock(), TinyBlock())
        ]
        super().__init__(_conv(3), TinyBlock(), *halvings, _conv(out_channels=LATENT_CHANNELS))


def _conv(
    in_channels: int = CHANNELS, out_channels: int = CHANNELS, *, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=bias)
