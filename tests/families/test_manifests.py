"""Every family's networks have exactly the parameters of the original checkpoints."""

import pytest
import torch
from torch import nn

from modules.families.detect import UNET_PREFIX, VAE_PREFIX, DetectedText, detect_family
from modules.families.known import FAMILIES
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.open_clip_text import OpenClipTextEncoder
from modules.networks.unet import UNet
from modules.networks.vae import AutoencoderKL
from tests.families.manifests import MANIFESTS, header, manifest


def _shapes(network: nn.Module, prefix: str) -> dict[str, tuple[int, ...]]:
    return {prefix + name: tuple(value.shape) for name, value in network.state_dict().items()}


def _text(text: DetectedText) -> nn.Module:
    if isinstance(text.config, ClipTextConfig):
        return ClipTextEncoder(text.config)
    return OpenClipTextEncoder(text.config)


@pytest.mark.parametrize("name", MANIFESTS)
def test_names_and_shapes_equal_the_original_checkpoint(name: str) -> None:
    expected = manifest(name)
    detected = detect_family(header(expected))
    assert detected.vae is not None
    with torch.device("meta"):
        built = _shapes(UNet(detected.unet), UNET_PREFIX)
        built |= _shapes(AutoencoderKL(detected.vae), VAE_PREFIX)
        for text in detected.texts:
            built |= _shapes(_text(text), text.prefix)
    assert built == expected


@pytest.mark.parametrize(("name", "count"), [("sd1", 686), ("sd2", 686), ("sdxl", 1680)])
def test_the_unet_has_as_many_tensors_as_the_original(name: str, count: int) -> None:
    assert sum(key.startswith(UNET_PREFIX) for key in manifest(name)) == count


@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl", "sdxl-refiner"])
def test_unet_parameters_come_in_the_order_of_the_original(name: str) -> None:
    expected = [key.removeprefix(UNET_PREFIX) for key in manifest(name) if key.startswith(UNET_PREFIX)]
    with torch.device("meta"):
        built = list(UNet(detect_family(header(manifest(name))).unet).state_dict())
    stages = ["time_embed", "label_emb", "input_blocks", "middle_block", "output_blocks", "out"]
    ranks = [stages.index(key.split(".")[0]) for key in built]
    assert ranks == sorted(ranks)
    assert set(built) == set(expected)


def test_every_family_has_a_manifest() -> None:
    assert {family.name for family in FAMILIES} <= set(MANIFESTS)
