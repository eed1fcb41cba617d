"""How the networks of the embedded model begin: residual branches near zero, all else variance-keeping."""

import math

import torch
from torch import nn

from modules.networks.clip_text import ClipTextEncoder
from modules.networks.unet import ResBlock, SpatialTransformer, UNet
from modules.networks.vae import AttnBlock, AutoencoderKL, ResnetBlock

__all__ = ["initialise_autoencoder", "initialise_text_encoder", "initialise_unet"]

_FIRST_LOG_VARIANCE = -6.0  # a nearly noiseless posterior at first, so that pictures are learnt before the KL


@torch.no_grad()
def initialise_autoencoder(network: AutoencoderKL) -> None:
    """Start an autoencoder so that it learns from the first steps on.

    The attention layers are switched off for good (their output projection is zero and frozen): a
    latent cell shall describe its own surroundings and nothing else, which is easier to generate.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.weight[0].numel()))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in network.modules():
        if isinstance(layer, ResnetBlock):
            layer.conv2.weight.mul_(0.1)
        elif isinstance(layer, AttnBlock):
            nn.init.zeros_(layer.proj_out.weight)
            layer.requires_grad_(False)
    channels = network.config.latent_channels
    nn.init.dirac_(network.post_quant_conv.weight)
    nn.init.dirac_(network.quant_conv.weight)
    network.quant_conv.weight[channels:].mul_(0.1)
    network.quant_conv.bias[channels:] = _FIRST_LOG_VARIANCE  # type: ignore[index]


@torch.no_grad()
def initialise_unet(network: UNet) -> None:
    """Start a U-Net whose transformers already contribute a little; its residual blocks start at zero."""
    for layer in network.modules():
        if isinstance(layer, SpatialTransformer):
            nn.init.normal_(layer.proj_out.weight, std=0.02)  # type: ignore[arg-type]
        elif isinstance(layer, ResBlock):
            nn.init.zeros_(layer.out_layers[3].weight)  # type: ignore[arg-type]


@torch.no_grad()
def initialise_text_encoder(network: ClipTextEncoder) -> None:
    """Start a text encoder whose tokens are far apart compared with its positions."""
    nn.init.normal_(network.text_model.embeddings.token_embedding.weight, std=0.3)
    nn.init.normal_(network.text_model.embeddings.position_embedding.weight, std=0.05)
