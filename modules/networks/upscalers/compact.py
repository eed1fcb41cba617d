"""The compact network of Real-ESRGAN's small models: plain convolutions, then one shuffle into pixels.

Parameter names are those of ``realesr-general-x4v3.pth`` and ``realesr-animevideov3.pth``.

Source: Wang et al. 2021, "Real-ESRGAN" (its repository's ``SRVGGNetCompact``).
"""

import math
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["CompactNet", "compact_config"]


class CompactNet(nn.Module):
    """Convolutions with learned rectifiers; the result is added to the enlarged input.

    Args:
        channels: of every hidden layer.
        layers: hidden convolutions between the first and the last.
        scale: pixels out for a pixel in, along one side.
    """

    def __init__(self, channels: int, layers: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        body: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1), nn.PReLU(channels)]
        for _ in range(layers):
            body += [nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(channels)]
        self.body = nn.Sequential(*body, nn.Conv2d(channels, 3 * scale**2, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1 to (B, 3, s * H, s * W), about 0..1."""
        return F.pixel_shuffle(self.body(x), self.scale) + F.interpolate(x, scale_factor=self.scale)


def compact_config(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int]:
    """Channels, hidden layers and scale from a network's parameters' shapes.

    Raises:
        ValueError: it is another network.
    """
    places = sorted({int(name.split(".")[1]) for name in shapes if name.startswith("body.")})
    first, rectifier = shapes.get("body.0.weight"), shapes.get("body.1.weight")
    last = shapes.get(f"body.{places[-1]}.weight") if places else None
    if first is None or rectifier is None or last is None or len(rectifier) != 1 or first[1] != 3:
        raise ValueError("it is no compact Real-ESRGAN")
    scale = math.isqrt(last[0] // 3)
    if 3 * scale**2 != last[0]:
        raise ValueError(f"its last layer has {last[0]} channels")
    return first[0], (len(places) - 3) // 2, scale
