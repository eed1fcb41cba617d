"""NaN in the middle of a job: found where it arises, computed again in 32-bit floats, never saved."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from modules.checkpoints.model import LoadedModel
from modules.domain.job import JobState, JobView
from modules.domain.request import GenerationRequest
from modules.networks.text_encoder import TextStates
from modules.services import Services
from tests.generation.conftest import Studio
from tests.generation.test_pictures import BASE, WAIT, make, stored_picture

STAGES = {"text encoder": "text encoder", "VAE encoder": "VAE", "U-Net": "U-Net", "VAE decoder": "VAE"}


@pytest.fixture(scope="module")
def opened(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with studio(tmp_path_factory.mktemp("half"), precision="half") as services:
        yield services


@pytest.fixture
def services(opened: Services) -> Iterator[Services]:
    """With a model that is fresh in memory; its picture shows that the last test broke nothing."""
    make(opened)
    yield opened
    opened.models.unload()


class Spoiler:
    """Lets one network of a model yield NaN, in 16-bit floats only or always; counts its calls by format."""

    def __init__(self, model: LoadedModel, stage: str, *, always: bool = False) -> None:
        encoder = model.text_encoders[0]
        assert isinstance(encoder, nn.Module)
        networks: dict[str, nn.Module] = {
            "text encoder": encoder,
            "VAE encoder": model.vae.encoder,
            "U-Net": model.unet,
            "VAE decoder": model.vae.decoder.mid,  # its last layer always computes in 32 bits
        }
        self._always = always
        self.formats: list[torch.dtype] = []
        networks[stage].register_forward_hook(self._spoil)

    def _spoil(self, _module: nn.Module, _given: object, out: Tensor | TextStates) -> Tensor | TextStates:
        values = out.hidden[-1] if isinstance(out, TextStates) else out
        self.formats.append(values.dtype)
        if values.dtype is torch.float32 and not self._always:
            return out
        if isinstance(out, TextStates):
            return replace(out, hidden=tuple(each * torch.nan for each in out.hidden))
        return out * torch.nan


def run(services: Services, prompt: str) -> JobView:
    start = {"images": [stored_picture(services)], "denoising_strength": 0.9}
    request = GenerationRequest.model_validate({**BASE, "prompt": prompt, "image_to_image": start})
    return services.jobs.wait(services.jobs.submit(request, "artist"), WAIT)


def files(services: Services) -> set[Path]:
    return {path for path in services.options.folders.outputs.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stage", STAGES)
def test_what_overflows_in_16_bits_is_computed_again_and_becomes_a_picture(
    services: Services, stage: str
) -> None:
    spoiler = Spoiler(services.models.loaded()[-1], stage)
    view = run(services, f"overflows in the {stage}")
    assert view.state is JobState.DONE, view.error
    assert spoiler.formats[:2] == [torch.bfloat16, torch.float32]
    assert np.asarray(Image.open(view.images[0].path)).std() > 0


@pytest.mark.parametrize(("stage", "named"), STAGES.items())
def test_what_is_nan_in_32_bits_too_ends_the_job_and_saves_nothing(
    services: Services, stage: str, named: str
) -> None:
    before = files(services)
    Spoiler(services.models.loaded()[-1], stage, always=True)
    view = run(services, f"damaged in the {stage}")
    assert (view.state, view.error_kind) == (JobState.FAILED, "NumericalError")
    assert named in (view.error or "")
    assert view.images == ()
    assert files(services) == before


def test_the_check_can_be_switched_off(studio: Studio, tmp_path: Path) -> None:
    with studio(tmp_path, check_values=False) as services:
        make(services)
        Spoiler(services.models.loaded()[-1], "VAE decoder", always=True)
        (content,) = make(services, prompt="lost")
        picture = tmp_path / "lost.png"
        picture.write_bytes(content)
        assert np.asarray(Image.open(picture)).max() == 0
