"""Seamless pictures: convolutions that see the picture as a torus."""

from torch import nn

__all__ = ["set_tiling"]


def set_tiling(network: nn.Module, enabled: bool) -> None:
    """Let every convolution of ``network`` wrap around at the edges, or pad with zeros again.

    Neither weights nor shapes change; calling it again with the same value does nothing.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "circular" if enabled else "zeros"
