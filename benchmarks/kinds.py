"""The models that are compared, and checkpoints with random weights of their shape."""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.families.detect import UNET_PREFIX, VAE_PREFIX
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.open_clip_text import OpenClipTextConfig, OpenClipTextEncoder
from modules.networks.unet import UNet, UNetConfig
from modules.networks.vae import AutoencoderKL, VaeConfig

__all__ = ["KINDS", "Kind", "Work", "checkpoint_shapes", "make_work", "write_checkpoint"]

_POOL = 2**22  # random numbers from which every weight takes a stretch of its own


@dataclass(frozen=True)
class Kind:
    """Shapes of a model's networks, and the side in pixels it is compared at.

    Attributes:
        texts: each text encoder's shape, by what its parameters' names begin with.
        sides: picture sides, the largest first.
        steps: of a whole picture on a GPU.
    """

    label: str
    unet: UNetConfig
    vae: VaeConfig
    texts: Mapping[str, ClipTextConfig | OpenClipTextConfig]
    sides: tuple[int, ...]
    steps: int = 50


_CLIP = "cond_stage_model.transformer."
KINDS: Mapping[str, Kind] = {
    "sd15": Kind("SD1.5", UNetConfig(), VaeConfig(), {_CLIP: ClipTextConfig()}, (512, 256)),
    "sdxl": Kind(
        "SDXL",
        UNetConfig(
            channel_mult=(1, 2, 4),
            transformer_depth=(0, 2, 10),
            middle_depth=10,
            context_dim=2048,
            head_channels=64,
            linear_projections=True,
            adm_channels=2816,
        ),
        VaeConfig(),
        {
            "conditioner.embedders.0.transformer.": ClipTextConfig(),
            "conditioner.embedders.1.model.": OpenClipTextConfig(
                width=1280, layers=32, heads=20, mlp_width=5120, projection=1280
            ),
        },
        (1024,),
        steps=30,
    ),
    "tiny": Kind(
        "tiny",
        UNetConfig(model_channels=32, context_dim=64),
        VaeConfig(channels=32),
        {_CLIP: ClipTextConfig(width=64, layers=2, heads=1, mlp_width=128)},
        (128, 64),
        steps=3,
    ),
}


@dataclass(frozen=True)
class Work:
    """The same inputs for everybody: a pair of rows, as classifier-free guidance has them.

    Attributes:
        x: (2, 4, h, w); timesteps: (2,); context: (2, 77, D); vector: (2, A) or None.
        z: a latent to decode, (1, 4, h, w), unscaled.
        ids: two texts, (2, 77) int64.
    """

    x: Tensor
    timesteps: Tensor
    context: Tensor
    vector: Tensor | None
    z: Tensor
    ids: Tensor


def make_work(kind: Kind, side: int) -> Work:
    """The work at a picture side in pixels."""
    generator = torch.Generator().manual_seed(side)
    cells = side // kind.vae.factor
    row = torch.randn(1, kind.unet.in_channels, cells, cells, generator=generator)
    width = kind.unet.adm_channels
    ids = torch.randint(1000, 40000, (2, 77), generator=generator)
    ids[:, 0], ids[0, 12:], ids[1, 3:] = 49406, 49407, 49407
    return Work(
        x=row.expand(2, -1, -1, -1).contiguous(),
        timesteps=torch.full((2,), 601.0),
        context=torch.randn(2, 77, kind.unet.context_dim, generator=generator),
        vector=torch.randn(2, width, generator=generator) if width else None,
        z=5.0 * torch.randn(1, kind.vae.latent_channels, cells, cells, generator=generator),
        ids=ids,
    )


def checkpoint_shapes(kind: Kind) -> dict[str, tuple[int, ...]]:
    """Shapes of a checkpoint's tensors, under the names of the original files."""
    return {
        prefix + name: tuple(value.shape)
        for prefix, network in _networks(kind)
        for name, value in network.state_dict().items()
    }


def write_checkpoint(kind: Kind, path: Path) -> None:
    """Write half-precision weights whose activations stay of order one, unless the file is there.

    Every tensor depends on its name and shape alone, so that the file is the same everywhere.
    """
    if path.exists():
        return
    pool = torch.randn(_POOL, generator=torch.Generator().manual_seed(0)).repeat(2)
    tensors = {name: _values(name, shape, pool) for name, shape in checkpoint_shapes(kind).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.replace(path)


def _networks(kind: Kind) -> list[tuple[str, nn.Module]]:
    with torch.device("meta"):
        return [
            (UNET_PREFIX, UNet(kind.unet)),
            (VAE_PREFIX, AutoencoderKL(kind.vae)),
            *((prefix, _text(config)) for prefix, config in kind.texts.items()),
        ]


def _text(config: ClipTextConfig | OpenClipTextConfig) -> nn.Module:
    return ClipTextEncoder(config) if isinstance(config, ClipTextConfig) else OpenClipTextEncoder(config)


def _values(name: str, shape: tuple[int, ...], pool: Tensor) -> Tensor:
    count, start = math.prod(shape), zlib.crc32(name.encode()) % _POOL
    stretch = pool[start : start + min(count, _POOL)]
    values = stretch.repeat(math.ceil(count / _POOL))[:count].reshape(shape)
    if len(shape) == 1:
        return (1 + 0.1 * values if name.endswith(".weight") else 0.02 * values).half()
    if name.endswith(("embedding.weight", "positional_embedding")):
        return (0.02 * values).half()
    fan_in = shape[0] if name.endswith("text_projection") else math.prod(shape[1:])
    return (values / math.sqrt(fan_in)).half()
