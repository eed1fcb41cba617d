"""Very small random checkpoints in the real layouts, and their expected networks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.checkpoints.files import CheckpointFile, ModelStore
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.open_clip_text import OpenClipTextConfig, OpenClipTextEncoder
from modules.networks.unet import UNet, UNetConfig
from modules.networks.vae import AutoencoderKL, VaeConfig

__all__ = ["CHECKPOINTS", "Tiny", "architecture", "checkpoint_file", "state_dict", "write"]

VAE = VaeConfig(channels=32, channel_mult=(1, 2), num_res_blocks=1)
CLIP = ClipTextConfig(width=64, layers=2, heads=1, mlp_width=128, vocabulary=100)
BIG_G = OpenClipTextConfig(width=64, layers=2, heads=1, mlp_width=128, projection=64, vocabulary=100)
SD1 = UNetConfig(
    model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0), context_dim=64
)
SD2 = UNetConfig(
    model_channels=64, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0), context_dim=64,
    head_channels=64, linear_projections=True,
)  # fmt: skip
SDXL = UNetConfig(
    model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(0, 2), middle_depth=2,
    context_dim=128, head_channels=64, linear_projections=True, adm_channels=64 + 6 * 256,
)  # fmt: skip


@dataclass(frozen=True)
class Tiny:
    """Networks of one family and the names their parameters get."""

    unet: UNetConfig
    texts: tuple[tuple[str, ClipTextConfig | OpenClipTextConfig], ...]
    vae: VaeConfig = VAE


CHECKPOINTS: Mapping[str, Tiny] = {
    "sd1": Tiny(SD1, (("cond_stage_model.transformer.", CLIP),)),
    "sd2": Tiny(SD2, (("cond_stage_model.model.", BIG_G),)),
    "sdxl": Tiny(
        SDXL, (("conditioner.embedders.0.transformer.", CLIP), ("conditioner.embedders.1.model.", BIG_G))
    ),
}


def state_dict(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Random weights of the named checkpoint, in float32; no parameter is all zero."""
    torch.manual_seed(seed)
    tiny = CHECKPOINTS[name]
    networks: list[tuple[str, nn.Module]] = [
        ("model.diffusion_model.", UNet(tiny.unet)),
        ("first_stage_model.", AutoencoderKL(tiny.vae)),
    ]
    for prefix, config in tiny.texts:
        if isinstance(config, ClipTextConfig):
            networks.append((prefix, ClipTextEncoder(config)))
        else:
            networks.append((prefix, OpenClipTextEncoder(config)))
    state = {
        prefix + key: value for prefix, network in networks for key, value in network.state_dict().items()
    }
    return {key: value if value.any() else torch.randn_like(value) * 0.02 for key, value in state.items()}


def write(
    path: Path,
    state: Mapping[str, Tensor],
    metadata: dict[str, str] | None = None,
    sidecar: str | None = None,
) -> Path:
    """Write a safetensors checkpoint, and a sidecar if one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in state.items()}, path, metadata)
    if sidecar is not None:
        path.with_suffix(".yaml").write_text(sidecar)
    return path


def checkpoint_file(path: Path) -> CheckpointFile:
    """The file as the catalog would list it, with a cache beside it."""
    return CheckpointFile(path, path.name, ModelStore.below(path.parent / "cache"))


def architecture(**said: object) -> dict[str, str]:
    """Metadata that says what shapes cannot."""
    return {"studio.architecture": json.dumps(said)}
