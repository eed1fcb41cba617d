"""Adapters beside the weights instead of in them: a layer's output gets what the change alone would give.

On paper this equals a changed weight. In half precision it differs in the last bits, since the sum is rounded
and not the weight; pictures that were made so come again only so.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from modules.adapters.deltas import Delta

__all__ = ["attach_change", "can_attach"]


def can_attach(module: nn.Module) -> bool:
    """Whether the layer's output is linear in its weight, so that a change can act beside it."""
    return isinstance(module, nn.Linear | nn.Conv2d | nn.LayerNorm | nn.GroupNorm)


def attach_change(module: nn.Module, change: Delta) -> RemovableHandle:
    """Let every output of a layer be what it would be with the change in its weight.

    Args:
        module: a layer that :func:`can_attach` accepts.
        change: of its weight and bias.

    Returns:
        What takes the change off again.
    """
    weight = change.change * change.strength

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = inputs[0]
        bias = None if change.bias is None else change.bias.to(x)
        return output + _run(layer, x, weight.to(x), bias)

    return module.register_forward_hook(add)


def _run(layer: nn.Module, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer's output with another weight and bias."""
    if isinstance(layer, nn.Conv2d):
        out: Tensor = layer._conv_forward(x, weight, bias)  # noqa: SLF001 - knows how the layer pads
        return out
    if isinstance(layer, nn.LayerNorm):
        return F.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps)
    if isinstance(layer, nn.GroupNorm):
        return torch.group_norm(x, layer.num_groups, weight, bias, layer.eps)
    return F.linear(x, weight, bias)
