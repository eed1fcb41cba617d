"""Models of the real families with random weights and very few channels."""

from dataclasses import replace
from pathlib import Path

import torch

from modules.checkpoints.files import CheckpointFile, ModelStore
from modules.checkpoints.model import LoadedModel
from modules.diffusion.schedule import NoiseSchedule
from modules.families.family import Family
from modules.families.sd1 import SD1, SD1_INPAINT
from modules.families.sd2 import SD2
from modules.families.sdxl import SDXL, SDXL_REFINER
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.open_clip_text import OpenClipTextConfig, OpenClipTextEncoder
from modules.networks.unet import UNet, UNetConfig
from modules.networks.vae import AutoencoderKL, VaeConfig
from modules.runtime.device import Runtime

__all__ = ["UNET", "tiny_model", "tiny_sd1", "tiny_sd1_inpaint", "tiny_sd2", "tiny_sdxl", "tiny_sdxl_refiner"]

CLIP = ClipTextConfig(width=16, layers=3, heads=2, mlp_width=32)
OPEN_CLIP = OpenClipTextConfig(width=24, layers=3, heads=2, mlp_width=48, projection=24)
UNET = UNetConfig(
    model_channels=8, channel_mult=(1, 2), transformer_depth=(1, 0), context_dim=16, num_heads=2, groups=4
)
VAE = VaeConfig(channels=8, channel_mult=(1, 2), num_res_blocks=1, groups=4)


def tiny_model(family: Family, unet: UNetConfig) -> LoadedModel:
    """A model of a family; equal arguments give equal weights."""
    torch.manual_seed(0)
    configs = {"clip": CLIP, "open_clip": OPEN_CLIP}
    texts = tuple(
        ClipTextEncoder(CLIP) if role.architecture == "clip" else OpenClipTextEncoder(OPEN_CLIP)
        for role in family.text_encoders
    )
    assert all(
        text.config == configs[role.architecture]
        for text, role in zip(texts, family.text_encoders, strict=True)
    )
    network = UNet(unet)
    for parameter in network.parameters():  # some start at zero, which would hide what comes before them
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    model = LoadedModel(
        file=CheckpointFile(Path("tiny.safetensors"), "tiny.safetensors", ModelStore.below(Path("unused"))),
        family=family,
        unet=network,
        vae=AutoencoderKL(VAE),
        text_encoders=texts,
        schedule=NoiseSchedule.scaled_linear(),
        prediction="epsilon",
        runtime=Runtime(torch.device("cpu")),
    )
    for part in (network, *texts):
        part.requires_grad_(requires_grad=False)
    return model


def tiny_sd1() -> LoadedModel:
    """Stable Diffusion 1: one CLIP encoder of width 16."""
    return tiny_model(SD1, UNET)


def tiny_sd1_inpaint() -> LoadedModel:
    """Stable Diffusion 1 with nine input channels."""
    return tiny_model(SD1_INPAINT, replace(UNET, in_channels=9))


def tiny_sd2() -> LoadedModel:
    """Stable Diffusion 2: one OpenCLIP encoder of width 24."""
    return tiny_model(SD2, replace(UNET, context_dim=24, linear_projections=True))


def tiny_sdxl() -> LoadedModel:
    """SDXL: both encoders, 40 features in all, and a vector of 24 + 6 * 256."""
    return tiny_model(SDXL, replace(UNET, context_dim=40, linear_projections=True, adm_channels=24 + 6 * 256))


def tiny_sdxl_refiner() -> LoadedModel:
    """The SDXL refiner: OpenCLIP only, and a vector of 24 + 5 * 256."""
    return tiny_model(SDXL_REFINER, replace(UNET, context_dim=24, adm_channels=24 + 5 * 256))
