"""A small network that draws a latent at twice its size; A1111's previews "Approx NN".

Parameter names are those of ``model.pt`` and ``vaeapprox-sdxl.pt``.
"""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ApproxDecoder"]

LAYERS = ((4, 8, 7), (8, 16, 5), (16, 32, 3), (32, 64, 3), (64, 32, 3), (32, 16, 3), (16, 8, 3), (8, 3, 3))
MARGIN = 11  # cells that the unpadded convolutions use up on each side


class ApproxDecoder(nn.Module):
    """Eight unpadded convolutions."""

    def __init__(self) -> None:
        super().__init__()
        for number, (inputs, outputs, kernel) in enumerate(LAYERS, start=1):
            self.add_module(f"conv{number}", nn.Conv2d(inputs, outputs, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Latents (B, 4, h, w) in the U-Net's scale to pictures (B, 3, 2h, 2w), about -1..1."""
        x = F.pad(F.interpolate(x, scale_factor=2), (MARGIN,) * 4)
        for convolution in self.children():
            x = F.leaky_relu(convolution(x), 0.1)
        return x
