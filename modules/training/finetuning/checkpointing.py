"""Gradient checkpointing: blocks keep only their input and compute the rest once more for the gradient.

Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from modules.checkpoints.model import LoadedModel
from modules.networks.clip_text import ClipLayer
from modules.networks.open_clip_text import ResidualAttentionBlock
from modules.networks.unet import Stage
from modules.runtime.attention import AttentionKind, use_attention

__all__ = ["checkpoint_blocks"]

_BLOCKS = (Stage, ClipLayer, ResidualAttentionBlock)


def checkpoint_blocks(model: LoadedModel, attention: AttentionKind) -> None:
    """Let every block of U-Net and text encoders be computed twice from now on, while gradients are wanted.

    Args:
        model: whose networks are changed.
        attention: how attention is computed, the second time too.
    """
    networks = [model.unet, *(encoder for encoder in model.text_encoders if isinstance(encoder, nn.Module))]
    for network in networks:
        for block in network.modules():
            if isinstance(block, _BLOCKS):
                block.forward = _computed_twice(block.forward, attention)  # type: ignore[method-assign]


def _computed_twice(forward: Callable[..., Tensor], attention: AttentionKind) -> Callable[..., Tensor]:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), use_attention(attention)

    def run(*inputs: Tensor) -> Tensor:
        out: Tensor = checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)
        return out

    return run
