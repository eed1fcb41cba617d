"""Hypernetworks: small networks that change what cross-attention reads.

Before the keys and values of an attention layer are computed, the context passes through a residual network
chosen by its width, one for keys and one for values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules import activation
from torch.utils.hooks import RemovableHandle

from modules.checkpoints.pickles import read_tree
from modules.exceptions import AdapterError
from modules.networks.unet import CrossAttention, UNet

__all__ = [
    "Hypernetwork",
    "activation_named",
    "attach_hypernetwork",
    "hypernetwork_of_tree",
    "read_hypernetwork",
]

_OLD_NAMES = {"linear1": "linear.0", "linear2": "linear.1"}


@dataclass(frozen=True, eq=False)
class _Residual:
    """``x + layers(x) * strength``; an activation follows each linear layer but perhaps the last."""

    layers: tuple[tuple[Tensor, Tensor], ...]  # weight and bias; weights of one dimension are layer norms
    activate: Callable[[Tensor], Tensor] | None
    activates_last: bool

    def __call__(self, x: Tensor, strength: float) -> Tensor:
        h = x
        linears = [index for index, (weight, _) in enumerate(self.layers) if weight.ndim == 2]
        for index, (weight, bias) in enumerate(self.layers):
            weight, bias = weight.to(h), bias.to(h)
            if weight.ndim == 1:
                h = nn.functional.layer_norm(h, weight.shape, weight, bias)
                continue
            h = nn.functional.linear(h, weight, bias)
            if self.activate is not None and (self.activates_last or index != linears[-1]):
                h = self.activate(h)
        return x + h * strength


@dataclass(frozen=True, eq=False)
class Hypernetwork:
    """Networks for keys and values by width of the context."""

    pairs: Mapping[int, tuple[_Residual, _Residual]]


def activation_named(path: Path, name: object) -> nn.Module | None:
    """The activation that a file names; None for none.

    Raises:
        AdapterError: there is no such activation, or it is more than its name.
    """
    if name in {None, "linear"}:
        return None
    if name == "swish":  # what the reference calls so
        return nn.Hardswish()
    known = {entry.lower(): entry for entry in activation.__all__}
    if not isinstance(name, str) or name.lower() not in known:
        raise AdapterError(path, f"uses the unknown activation {str(name)[:40]!r}")
    try:
        made: nn.Module = getattr(activation, known[name.lower()])()
    except TypeError as error:
        raise AdapterError(path, f"uses the activation {name!r}, which needs more than its name") from error
    return made.eval()


def _layers(path: Path, state: object) -> tuple[tuple[Tensor, Tensor], ...]:
    if not isinstance(state, Mapping):
        raise AdapterError(path, "holds no hypernetwork: a layer is no dictionary")
    named: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        start, _, part = str(key).rpartition(".")
        number = _OLD_NAMES.get(start, start).removeprefix("linear.")
        if not number.isdigit() or not isinstance(tensor, Tensor):
            raise AdapterError(path, f"holds no hypernetwork: it has an entry {str(key)[:60]!r}")
        named.setdefault(int(number), {})[part] = tensor
    if any(parts.keys() != {"weight", "bias"} for parts in named.values()) or not named:
        raise AdapterError(path, "holds a hypernetwork with missing weights")
    return tuple((named[number]["weight"], named[number]["bias"]) for number in sorted(named))


def _residual(path: Path, state: object, width: int, tree: Mapping[object, object]) -> _Residual:
    residual = _Residual(
        _layers(path, state),
        activation_named(path, tree.get("activation_func")),
        bool(tree.get("activate_output", True)),
    )
    try:
        fits = residual(torch.zeros(1, width), 1.0).shape == (1, width)
    except RuntimeError as error:
        raise AdapterError(
            path, f"holds a hypernetwork whose layers do not fit each other: {error}"
        ) from error
    if not fits:
        raise AdapterError(path, f"holds a hypernetwork that does not return {width} numbers for {width}")
    return residual


def read_hypernetwork(copy: Path, path: Path) -> Hypernetwork:
    """Read a hypernetwork.

    Args:
        copy: safetensors copy of the file's tree.
        path: the file itself, for messages.

    Raises:
        AdapterError: the file holds something else.
        CheckpointError: the copy is damaged.
    """
    return hypernetwork_of_tree(path, read_tree(copy))


def hypernetwork_of_tree(path: Path, tree: object) -> Hypernetwork:
    """Interpret the contents of a hypernetwork file.

    Raises:
        AdapterError: it holds something else.
    """
    if not isinstance(tree, Mapping):
        raise AdapterError(path, "holds no hypernetwork: its content is no dictionary")
    pairs = {}
    for width, states in tree.items():
        if isinstance(width, int):
            if not isinstance(states, Sequence) or isinstance(states, str) or len(states) != 2:
                raise AdapterError(path, f"holds no hypernetwork: width {width} is no pair")
            keys, values = (_residual(path, state, width, tree) for state in states)
            pairs[width] = (keys, values)
    if not pairs:
        raise AdapterError(path, "holds no hypernetwork: it has no layers")
    return Hypernetwork(pairs)


def attach_hypernetwork(unet: UNet, network: Hypernetwork, strength: float) -> list[RemovableHandle]:
    """Let every attention layer of matching width read through a hypernetwork.

    Several may be attached; each changes what the one before it made.

    Returns:
        Handles that take it off again.
    """

    def reader(residual: _Residual) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
        return lambda _layer, inputs: (residual(inputs[0], strength),)

    handles = []
    for layer in unet.modules():
        if isinstance(layer, CrossAttention):
            for target, position in ((layer.to_k, 0), (layer.to_v, 1)):
                pair = network.pairs.get(target.in_features)
                if pair is not None:
                    handles.append(target.register_forward_pre_hook(reader(pair[position])))
    return handles
