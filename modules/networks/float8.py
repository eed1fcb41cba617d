"""Layers that keep their weights in eight bits and compute in the numbers of their input.

A weight is rounded once, to one sign, four exponent and three mantissa bits (e4m3), and widened at each use,
which is exact: half the memory of 16 bits, for time and for the digits that are rounded away. Biases, norms
and embeddings stay as they are.

Source: Micikevicius et al. 2022, "FP8 Formats for Deep Learning", table 1.
"""

import torch
from torch import Tensor, nn

__all__ = ["FLOAT8", "Float8Conv2d", "Float8Linear", "changeable_weight", "in_float8", "rounded", "widened"]

FLOAT8 = torch.float8_e4m3fn
_LARGEST = 448.0  # there is no infinity; what is larger would be NaN on some devices
_KEPT_BITS = 0xBF80 - 2**16  # sign, and the seven other bits, in a float16
_BIAS_RATIO = 256.0  # 2 ** (15 - 7), the exponent biases of float16 and e4m3


class Float8Conv2d(nn.Conv2d):
    """A convolution with a weight in eight bits. Made by :func:`in_float8`, never by itself.

    Attributes:
        wide: the format it computes in.
        exact: the weight before it was rounded, in main memory; None where it is not kept.
    """

    wide: torch.dtype
    exact: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W')."""
        return self._conv_forward(x, widened(self.weight, x.dtype), self.bias)


class Float8Linear(nn.Linear):
    """A linear layer with a weight in eight bits; see :class:`Float8Conv2d`."""

    wide: torch.dtype
    exact: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D')."""
        return nn.functional.linear(x, widened(self.weight, x.dtype), self.bias)


def in_float8(network: nn.Module, dtype: torch.dtype) -> None:
    """Let the convolutions and linear layers of a network have their weights in eight bits.

    Args:
        network: on torch's meta device, without memory; its weights are still to come.
        dtype: the format that it computes in.
    """
    for layer in network.modules():
        if type(layer) is nn.Conv2d:
            layer.__class__ = Float8Conv2d
        elif type(layer) is nn.Linear:
            layer.__class__ = Float8Linear
        else:
            continue
        vars(layer).update(wide=dtype, exact=None)
        layer.weight = nn.Parameter(torch.empty_like(layer.weight, dtype=FLOAT8), requires_grad=False)


def rounded(weight: Tensor) -> Tensor:
    """The nearest values in eight bits."""
    return weight.clamp(-_LARGEST, _LARGEST).to(FLOAT8)


def widened(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """The same values in a wider format; a weight that is wide already only changes its format."""
    if weight.dtype is not FLOAT8 or weight.device.type != "cpu":
        return weight.to(dtype)
    # torch's own conversion on CPUs takes each value by itself, up to ten times as long
    bits = weight.view(torch.int8).to(torch.int16).bitwise_left_shift_(7).bitwise_and_(_KEPT_BITS)
    return bits.view(torch.float16).mul_(_BIAS_RATIO).to(dtype)


def changeable_weight(layer: nn.Module, weight: Tensor) -> Tensor:
    """The weight of a layer as changes are to be added to it, which eight bits would round away.

    It is the weight before it was rounded where that is kept, and else the rounded one, in the format that
    the layer computes in. The weights of other layers, and of layers that were changed, are what they are.
    """
    if weight.dtype is not FLOAT8 or not isinstance(layer, Float8Conv2d | Float8Linear):
        return weight
    if layer.exact is None:
        return widened(weight, layer.wide)
    return layer.exact.to(weight.device, layer.wide)
