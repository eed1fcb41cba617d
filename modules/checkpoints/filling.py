"""Give a network that was built without memory its weights, and nothing but the right ones."""

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from modules.checkpoints.weights import Weights
from modules.exceptions import CheckpointError

__all__ = ["fill_network"]

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
        dtype: their number format.

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
        state[name] = weights.tensor(names[name]).to(device, dtype, copy=True).reshape(parameter.shape)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def _same_shape(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Equal, but for the two last sides of 1 that tell a 1x1 convolution from a matrix."""
    return tuple(wanted) in {shape, (*shape, 1, 1)} or shape == (*wanted, 1, 1)
