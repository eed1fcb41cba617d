"""Write a checkpoint with random weights in the real layout of a family, to try a family without weights.

    python -m tests.checkpoints.random_checkpoint --family sdxl --out models/Stable-diffusion/sdxl.safetensors

Families are the manifests under ``tests/data/manifests``. Unless ``--full`` is given all widths are small
(80 to 220 MB), with the depth, names and vocabulary of the real thing.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.families.detect import UNET_PREFIX, VAE_PREFIX, DetectedModel, DetectedText, detect_family
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.open_clip_text import OpenClipTextConfig, OpenClipTextEncoder
from modules.networks.unet import UNet, UNetConfig
from modules.networks.vae import AutoencoderKL
from tests.families.manifests import MANIFESTS, header, manifest

__all__ = ["main", "small_shapes", "write_random_checkpoint"]

_TEXT_WIDTH = 64
_SIZE_FEATURES = 256  # of each number in the vector conditioning


def write_random_checkpoint(path: Path, family: str, *, full: bool = False, seed: int = 0) -> None:
    """Write half-precision weights whose activations stay of order one."""
    shapes = manifest(family) if full else small_shapes(family)
    generator = torch.Generator().manual_seed(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: _values(name, shape, generator) for name, shape in shapes.items()}, path)


def small_shapes(family: str) -> dict[str, tuple[int, ...]]:
    """The family's names with small shapes."""
    detected = detect_family(header(manifest(family)))
    assert detected.vae is not None
    with torch.device("meta"):
        networks: list[tuple[str, nn.Module]] = [
            (UNET_PREFIX, UNet(_small_unet(detected))),
            (VAE_PREFIX, AutoencoderKL(replace(detected.vae, channels=32))),
            *((text.prefix, _small_text(text)) for text in detected.texts),
        ]
    return {
        prefix + name: tuple(value.shape)
        for prefix, network in networks
        for name, value in network.state_dict().items()
    }


def _small_unet(detected: DetectedModel) -> UNetConfig:
    numbers = {"none": 0, "sdxl": 6, "refiner": 5}[detected.family.size_conditioning]
    return replace(
        detected.unet,
        model_channels=64,
        context_dim=_TEXT_WIDTH * len(detected.texts),
        adm_channels=_TEXT_WIDTH + numbers * _SIZE_FEATURES if numbers else 0,
    )


def _small_text(text: DetectedText) -> nn.Module:
    if isinstance(text.config, ClipTextConfig):
        return ClipTextEncoder(replace(text.config, width=_TEXT_WIDTH, heads=1, mlp_width=4 * _TEXT_WIDTH))
    assert isinstance(text.config, OpenClipTextConfig)
    small = replace(
        text.config, width=_TEXT_WIDTH, heads=1, mlp_width=4 * _TEXT_WIDTH, projection=_TEXT_WIDTH
    )
    return OpenClipTextEncoder(small)


def _values(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    values = torch.randn(shape, generator=generator)
    if len(shape) == 1:
        return (1 + 0.1 * values if name.endswith(".weight") else 0.02 * values).half()
    if name.endswith(("embedding.weight", "positional_embedding")):
        return (0.02 * values).half()
    fan_in = shape[0] if name.endswith("text_projection") else math.prod(shape[1:])
    return (values / math.sqrt(fan_in)).half()


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", choices=MANIFESTS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--full", action="store_true", help="real widths: 2 to 7 GB")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_random_checkpoint(arguments.out, arguments.family, full=arguments.full, seed=arguments.seed)


if __name__ == "__main__":
    main()
