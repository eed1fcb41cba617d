"""Checkpoints that see more than the latent: depth and InstructPix2Pix, through the whole product."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modules.domain.job import JobState, JobView
from modules.domain.request import GenerationRequest, ImageToImage
from modules.families.depth import DEPTH_PREFIX
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.depth import DepthEstimator
from modules.networks.open_clip_text import OpenClipTextConfig, OpenClipTextEncoder
from modules.networks.unet import UNet
from modules.networks.vae import AutoencoderKL, VaeConfig
from modules.services import Services
from tests.checkpoints.test_depth import TINY
from tests.checkpoints.tiny import SD1, SD2, write
from tests.generation.conftest import Studio
from tests.generation.test_pictures import BASE, make, stored_picture

VAE = VaeConfig(channels=32, channel_mult=(1, 1, 1, 1), num_res_blocks=1)  # eight pixels a cell, as usual
CLIP = ClipTextConfig(width=64, layers=1, heads=1, mlp_width=64)
OPEN_CLIP = OpenClipTextConfig(width=64, layers=2, heads=1, mlp_width=64, projection=64)


def _weights(parts: dict[str, nn.Module]) -> dict[str, Tensor]:
    torch.manual_seed(2)
    state = {
        prefix + name: value for prefix, part in parts.items() for name, value in part.state_dict().items()
    }
    return {name: value if value.any() else torch.randn_like(value) * 0.02 for name, value in state.items()}


@pytest.fixture(scope="module")
def services(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    models = tmp_path_factory.mktemp("special") / "models"
    torch.manual_seed(1)
    edit = {
        "model.diffusion_model.": UNet(replace(SD1, in_channels=8)),
        "first_stage_model.": AutoencoderKL(VAE),
        "cond_stage_model.transformer.": ClipTextEncoder(CLIP),
    }
    depth = {
        "model.diffusion_model.": UNet(replace(SD2, in_channels=5)),
        "first_stage_model.": AutoencoderKL(VAE),
        "cond_stage_model.model.": OpenClipTextEncoder(OPEN_CLIP),
    }
    for name, parts in (
        ("edit", edit),
        ("blind", depth),
        ("depth", {**depth, DEPTH_PREFIX: DepthEstimator(TINY)}),
    ):
        write(models / "Stable-diffusion" / f"{name}.safetensors", _weights(parts))
    with studio(tmp_path_factory.mktemp("studio"), models) as opened:
        yield opened


def picture(services: Services, checkpoint: str, **changes: Any) -> bytes:  # noqa: ANN401
    plain = {"enable_pnginfo": False}
    (made,) = make(services, **{"checkpoint": checkpoint, "steps": 2, "override_settings": plain, **changes})
    return made


def failed(services: Services, **changes: Any) -> JobView:  # noqa: ANN401
    request = GenerationRequest.model_validate({**BASE, **changes})
    view = services.jobs.wait(services.jobs.submit(request, "artist"), 120.0)
    assert view.state is JobState.FAILED
    return view


def test_a_depth_checkpoint_sees_how_far_things_are_away(services: Services) -> None:
    source = ImageToImage(images=(stored_picture(services),), denoising_strength=1.0)
    seen = picture(services, "depth", image_to_image=source)
    assert seen == picture(services, "depth", image_to_image=source)
    assert seen != picture(services, "depth")


def test_a_depth_checkpoint_without_estimator_says_what_it_needs(services: Services) -> None:
    assert picture(services, "blind") == picture(services, "depth")
    source = {"images": (stored_picture(services),)}
    assert "models/midas" in str(failed(services, checkpoint="blind", image_to_image=source).error)


def test_an_editing_checkpoint_weighs_the_picture_beside_the_prompt(services: Services) -> None:
    def edited(scale: float | None) -> bytes:
        source = ImageToImage(images=(stored_picture(services),), image_cfg_scale=scale)
        return picture(services, "edit", image_to_image=source)

    assert edited(1.5) != edited(3.0)
    assert edited(1.0) == edited(None)


def test_an_editing_checkpoint_wants_a_picture(services: Services) -> None:
    assert "img2img" in str(failed(services, checkpoint="edit").error)
