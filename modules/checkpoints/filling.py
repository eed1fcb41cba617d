"""Give a network that was built without memory its weights, and nothing but the right ones."""

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from modules.checkpoints.weights import Weights
from modules.exceptions import CheckpointError
from modules.networks.float8 import FLOAT8, Float8Conv2d, Float8Linear, rounded

__all__ = ["fill_network", "keep_exact_weights"]

Network = TypeVar("Network", bound=nn.Module)


def fill_network(
    network: Network, weights: Weights, names: Mapping[str, str], device: torch.device, dtype: torch.dtype
) -> Network:
    """Copy weights into a network on torch's meta device and make it ready to be run.

    Args:
        network: built on the meta device.
        weights: where the tensors are.
        names: parameter name -> name in the file.
        device: where the weights are to lie.
        dtype: their number format; those that the network has in eight bits stay so.

    Raises:
        CheckpointError: a weight is missing or has another shape.
    """
    state: dict[str, Tensor] = {}
    for name, parameter in network.state_dict().items():
        if name not in names:
            raise CheckpointError(
                weights.header.path, f"the weight {name} is missing; the file is incomplete"
            )
        shape = weights.header.tensors[names[name]].shape
        if not _same_shape(shape, parameter.shape):
            raise CheckpointError(
                weights.header.path,
                f"the weight {names[name]} has shape {list(shape)} instead of {list(parameter.shape)}",
            )
        tensor = weights.tensor(names[name])
        if parameter.dtype is FLOAT8:  # rounded once, whatever the file has
            state[name] = rounded(tensor.float()).to(device).reshape(parameter.shape)
        else:
            state[name] = tensor.to(device, dtype, copy=True).reshape(parameter.shape)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def keep_exact_weights(network: nn.Module, weights: Weights, names: Mapping[str, str]) -> None:
    """Keep what the weights in eight bits were rounded from, in 16 bits in main memory."""
    for path, layer in network.named_modules():
        if isinstance(layer, Float8Conv2d | Float8Linear):
            tensor = weights.tensor(names[f"{path}.weight"])
            layer.exact = tensor.to("cpu", torch.float16, copy=True).reshape(layer.weight.shape)


def _same_shape(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Equal, but for the two last sides of 1 that tell a 1x1 convolution from a matrix."""
    return tuple(wanted) in {shape, (*shape, 1, 1)} or shape == (*wanted, 1, 1)
