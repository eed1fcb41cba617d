"""Where the depth estimator of a depth checkpoint comes from, and what is said when there is none."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.checkpoints.reader import MappedWeights
from modules.checkpoints.weights import renamed_depth
from modules.exceptions import CheckpointError, RequestError
from modules.families.depth import DEPTH_PREFIX
from modules.generation.image_conditioning import blank_conditioning, source_conditioning
from modules.networks.depth import DepthConfig, DepthEstimator
from modules.networks.unet import UNet
from modules.runtime.device import Runtime
from tests.checkpoints.tiny import SD2, checkpoint_file, state_dict, write

CPU = Runtime(torch.device("cpu"))
TINY = DepthConfig(
    stem=32, stages=(128, 128, 128), blocks=(1, 1, 1), width=64, layers=4, heads=1, mlp_width=64, taps=(2, 3),
    grid=2, joined=(32, 32), fusion=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def estimator() -> dict[str, Tensor]:
    torch.manual_seed(2)
    network = DepthEstimator(TINY)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.2)
    return network.state_dict()


@pytest.fixture(scope="module")
def plain() -> dict[str, Tensor]:
    """A depth checkpoint without its estimator."""
    unet = UNet(replace(SD2, in_channels=5)).state_dict()
    return state_dict("sd2") | {f"model.diffusion_model.{name}": value for name, value in unet.items()}


def loaded(path: Path, folder: Path | None = None) -> LoadedModel:
    return load_model(checkpoint_file(path), None, CPU, depth_folder=folder)


PICTURE = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_checkpoint_s_own_estimator_is_used(
    tmp_path: Path, plain: dict[str, Tensor], estimator: dict[str, Tensor]
) -> None:
    whole = plain | {DEPTH_PREFIX + name: value for name, value in estimator.items()}
    model = loaded(write(tmp_path / "depth.safetensors", whole))
    assert model.family.extra_channels == "depth"
    depth = model.estimate_depth(PICTURE)
    assert depth.shape == (1, 1, 384, 288)
    assert depth.std() > 0


@pytest.mark.parametrize("name", ["dpt_hybrid-midas-501f0c75.pt", "dpt-hybrid/model.safetensors"])
def test_a_file_in_models_midas_serves_as_well(
    tmp_path: Path, plain: dict[str, Tensor], estimator: dict[str, Tensor], name: str
) -> None:
    folder = tmp_path / "midas"
    (folder / name).parent.mkdir(parents=True)
    if name.endswith(".pt"):
        torch.save(estimator, folder / name)
    else:
        save_file(estimator, folder / name)
    path = write(tmp_path / "depth.safetensors", plain)
    inside = write(
        tmp_path / "whole.safetensors",
        plain | {DEPTH_PREFIX + name: value for name, value in estimator.items()},
    )
    assert torch.equal(loaded(path, folder).estimate_depth(PICTURE), loaded(inside).estimate_depth(PICTURE))


def test_without_an_estimator_the_model_loads_and_says_what_to_do(
    tmp_path: Path, plain: dict[str, Tensor]
) -> None:
    model = loaded(write(tmp_path / "depth.safetensors", plain), tmp_path / "nothing")
    with pytest.raises(RequestError, match=re.escape("into models/midas")):
        model.estimate_depth(PICTURE)


def test_a_broken_estimator_is_named(
    tmp_path: Path, plain: dict[str, Tensor], estimator: dict[str, Tensor]
) -> None:
    folder = tmp_path / "midas"
    folder.mkdir()
    broken = {name: value for name, value in estimator.items() if "cls_token" not in name}
    save_file(broken, folder / "half.safetensors")
    with pytest.raises(CheckpointError, match=r"half\.safetensors: is no depth estimator: .*cls_token"):
        loaded(write(tmp_path / "depth.safetensors", plain), folder)


def test_the_channel_spans_minus_one_to_one_at_the_latent_s_size(
    tmp_path: Path, plain: dict[str, Tensor], estimator: dict[str, Tensor]
) -> None:
    whole = plain | {DEPTH_PREFIX + name: value for name, value in estimator.items()}
    model = loaded(write(tmp_path / "depth.safetensors", whole))
    channel = source_conditioning(model, PICTURE, torch.zeros(1, 4, 32, 24), None, mask_weight=1.0)
    assert channel is not None
    assert channel.shape == (1, 1, 32, 24)
    assert (float(channel.min()), float(channel.max())) == (-1.0, 1.0)


def test_without_a_picture_everything_is_equally_far_away(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    model = loaded(write(tmp_path / "depth.safetensors", plain))
    channel = blank_conditioning(model, 64, 48, 1)
    assert channel is not None
    assert torch.equal(channel, torch.zeros(1, 1, 48 // model.latent_factor, 64 // model.latent_factor))


def test_queries_keys_and_values_are_joined_from_transformers_names(tmp_path: Path) -> None:
    folder = tmp_path / "depth_estimator"
    folder.mkdir()
    theirs = {
        f"dpt.encoder.layer.{i}.attention.attention.{part}.weight": torch.full((2, 2), float(value))
        for i in range(2)
        for value, part in enumerate(("key", "query", "value"))
    }
    save_file(theirs, folder / "model.safetensors")
    renamed = renamed_depth(folder, MappedWeights(folder / "model.safetensors"))
    joined = renamed.tensor(f"{DEPTH_PREFIX}pretrained.model.blocks.1.attn.qkv.weight")
    assert joined[:, 0].tolist() == [1, 1, 0, 0, 2, 2]  # queries, keys, values
