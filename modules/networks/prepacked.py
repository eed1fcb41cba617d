"""Layers that keep their weights in the order in which oneDNN multiplies them, for inference on CPUs.

torch reorders the weights of a convolution or linear layer at every call; for the layers that have more
weights than inputs this takes a third of the time. :func:`prepack` lets the layers of a network do it at
their first call and keep the result. Results are the same bits; the weights take twice their memory.
"""

import torch
from torch import Tensor, nn

from modules.networks.unet import GatedGelu

__all__ = ["PackedConv2d", "PackedGatedGelu", "PackedLinear", "WeightPack", "prepack"]


class WeightPack:
    """A weight in oneDNN's order, made anew when another weight has taken its layer's place.

    Adapters put new tensors into a layer and later the old ones back; nothing is changed in place.
    """

    def __init__(self) -> None:
        self._source: Tensor | None = None
        self._packed: Tensor | None = None

    def of(self, weight: Tensor) -> Tensor | None:
        """The packed form of just this weight, if it is there."""
        source = self._source
        # holding the source keeps its address from being given to another weight
        same = source is not None and (source.data_ptr(), source.dtype) == (weight.data_ptr(), weight.dtype)
        return self._packed if same else None

    def keep(self, weight: Tensor, packed: Tensor) -> Tensor:
        """Remember the packed form of a weight; returns it."""
        self._source, self._packed = weight.detach(), packed
        return packed


class PackedConv2d(nn.Conv2d):
    """A convolution with a packed weight. Made by :func:`prepack`, never by itself."""

    pack: WeightPack

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W')."""
        if self.padding_mode != "zeros" or not _can_pack(self.weight, x):
            return super().forward(x)
        geometry = [list(map(int, sides)) for sides in (self.padding, self.stride, self.dilation)]
        packed = self.pack.of(self.weight)
        if packed is None:
            reorder = torch.ops.mkldnn._reorder_convolution_weight  # noqa: SLF001 - as torch's compiler does
            packed = self.pack.keep(self.weight, reorder(self.weight, *geometry, self.groups, None))
        convolve = torch.ops.mkldnn._convolution_pointwise  # noqa: SLF001
        out: Tensor = convolve(x, packed, self.bias, *geometry, self.groups, "none", [], "")
        return out


class PackedLinear(nn.Linear):
    """A linear layer with a packed weight. Made by :func:`prepack`, never by itself."""

    pack: WeightPack

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D')."""
        if not _can_pack(self.weight, x):
            return super().forward(x)
        return _linear(x, _packed_linear(self.pack, self.weight, x), self.bias)


class PackedGatedGelu(GatedGelu):
    """A gated GELU whose two halves are packed apart, so that gate and product are part of the products.

    Made by :func:`prepack`, never by itself.
    """

    values_pack: WeightPack
    gate_pack: WeightPack

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, W) to (B, N, W')."""
        proj = self.proj
        is_watched = bool(vars(proj)["_forward_hooks"]) or bool(vars(proj)["_forward_pre_hooks"])
        if is_watched or not _can_pack(proj.weight, x):
            return super().forward(x)
        values, gate = proj.weight.chunk(2)
        values_bias, gate_bias = proj.bias.chunk(2)
        opened = _linear(x, _packed_linear(self.gate_pack, gate, x), gate_bias, "gelu")
        multiply = torch.ops.mkldnn._linear_pointwise.binary  # noqa: SLF001 - as torch's compiler does
        out: Tensor = multiply(x, opened, _packed_linear(self.values_pack, values, x), values_bias, "mul")
        return out


def prepack(network: nn.Module) -> None:
    """Let every layer of a network on the CPU pack its weight at its first call without gradients."""
    for module in list(network.modules()):
        if type(module) is GatedGelu:
            module.__class__ = PackedGatedGelu
            vars(module).update(values_pack=WeightPack(), gate_pack=WeightPack())
        elif type(module) is nn.Conv2d:
            module.__class__ = PackedConv2d
            vars(module).update(pack=WeightPack())
        elif type(module) is nn.Linear:
            module.__class__ = PackedLinear
            vars(module).update(pack=WeightPack())


def _can_pack(weight: Tensor, x: Tensor) -> bool:
    """Whether nothing is learned: a weight that learns is changed in place, and its packed form is not."""
    return x.dtype is weight.dtype and not weight.requires_grad and not torch.is_grad_enabled()


def _packed_linear(pack: WeightPack, weight: Tensor, x: Tensor) -> Tensor:
    packed = pack.of(weight)
    if packed is None:
        rows = x.numel() // x.shape[-1]
        reorder = torch.ops.mkldnn._reorder_linear_weight  # noqa: SLF001 - as torch's compiler does
        packed = pack.keep(weight, reorder(weight, rows))
    return packed


def _linear(x: Tensor, packed: Tensor, bias: Tensor | None, activation: str = "none") -> Tensor:
    run = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - as torch's compiler does
    out: Tensor = run(x, packed, bias, activation, [], "none" if activation == "gelu" else "")
    return out
