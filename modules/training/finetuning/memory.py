"""How much memory a run will need, told before anything large is loaded."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modules.families.detect import DetectedModel
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.open_clip_text import OpenClipTextEncoder
from modules.networks.unet import UNet, UNetConfig
from modules.training.finetuning.recipe import FineTuneRecipe

__all__ = ["Need", "foresee", "kept_for_backward"]

_STATE_BYTES = {"adamw": 8, "lion": 4, "adamw8bit": 2}  # of the optimiser, for each weight
_VAE_BYTES = 500 * 2**20  # SD1's autoencoder with the working memory of a 512 px picture
_CHECKPOINTED = 0.25  # of the activations stay with checkpointing: borders of stages and the largest stage
_OWN_BYTES = 400 * 2**20  # of torch and this program
_ADAPTER_SHARE = 0.01  # of the weights at rank 8; grows with the rank


@dataclass(frozen=True)
class Need:
    """Bytes on the device: weights as they are held, what training adds to them, and one batch."""

    weights: int
    training: int
    batch: int

    @property
    def total(self) -> int:
        """Everything together."""
        return self.weights + self.training + self.batch + _OWN_BYTES


def foresee(detected: DetectedModel, recipe: FineTuneRecipe, *, resolution: int, half: bool) -> Need:
    """Estimate what a run needs.

    Args:
        detected: shapes of the model's networks.
        recipe: what is trained and how.
        resolution: pixels of a square picture's side.
        half: whether weights that are not trained and activations have 16 bits.
    """
    with torch.device("meta"):
        unet = UNet(detected.unet)
        texts = [
            ClipTextEncoder(text.config)
            if isinstance(text.config, ClipTextConfig)
            else OpenClipTextEncoder(text.config)
            for text in detected.texts
        ]
    counted = _count(unet), sum(_count(text) for text in texts)
    whole, learning = recipe.makes_checkpoint, recipe.optimisation
    weights = sum(counted) * (2 if half and not whole else 4)
    if whole:
        trained = counted[0] + (counted[1] if recipe.lora.text_encoder else 0)
    else:
        trained = int(sum(counted) * _ADAPTER_SHARE * max(1.0, recipe.lora.rank / 8))
    average = 4 if learning.ema_decay else 0
    cells = resolution // (detected.vae.factor if detected.vae else 8)
    batch = kept_for_backward(unet, cells) * (2 if half else 4) * learning.batch
    kept = int(batch * (_CHECKPOINTED if learning.checkpointing else 1.0))
    return Need(weights + _VAE_BYTES, trained * (4 + 4 + _STATE_BYTES[learning.optimiser] + average), kept)


def kept_for_backward(unet: UNet, cells: int) -> int:
    """Numbers that one picture's forward pass keeps for the backward pass; nothing is computed.

    The scores of attention are left out: the fused kernels compute them twice instead.

    Args:
        unet: on torch's meta device.
        cells: latent cells a side.
    """
    config: UNetConfig = unet.config
    lengths = {(-(-cells // 2**level)) ** 2 for level in range(len(config.channel_mult))}
    tokens = 77
    sizes: dict[int, int] = {}
    held: list[Tensor] = []  # else a storage's number may be given out twice

    def note(tensor: Tensor) -> Tensor:
        is_score = tensor.ndim >= 3 and tensor.shape[-2] in lengths and tensor.shape[-1] in {*lengths, tokens}
        if not isinstance(tensor, nn.Parameter) and tensor.ndim >= 3 and not is_score:
            held.append(tensor)
            sizes[id(tensor.untyped_storage())] = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    with torch.device("meta"):
        x = torch.empty(1, config.in_channels, cells, cells, requires_grad=True)
        context = torch.empty(1, tokens, config.context_dim, requires_grad=True)
        vector = torch.empty(1, config.adm_channels) if config.adm_channels else None
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            unet.requires_grad_(False)(x, torch.zeros(1), context, vector)
    return sum(sizes.values())


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
