"""Whole jobs that enlarge by a network's file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.app import create_services
from modules.domain.job import JobState
from modules.domain.request import GenerationRequest, Hires, ImageToImage
from modules.imaging.metadata import read_infotext
from modules.networks.upscalers.compact import CompactNet
from modules.services import Services
from modules.settings.launch import Folders, LaunchOptions
from tests.generation.test_pictures import BASE, WAIT, finished, make, stored_picture


@pytest.fixture(scope="module")
def upscaling(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services whose models folder has an upscaler that doubles."""
    root = tmp_path_factory.mktemp("upscaling")
    (root / "models" / "ESRGAN").mkdir(parents=True)
    (root / "models" / "Stable-diffusion").symlink_to(tiny_models / "models" / "Stable-diffusion")
    torch.manual_seed(0)
    save_file(CompactNet(4, 1, 2).state_dict(), root / "models" / "ESRGAN" / "Doubler.safetensors")
    options = LaunchOptions(Folders.below(root), device="cpu", precision="full", checkpoint="tiny-sd1")
    services = create_services(options)
    services.runner.start()
    try:
        yield services
    finally:
        services.runner.stop()
        services.jobs.close()


def test_the_second_pass_can_start_from_a_networks_enlargement(upscaling: Services) -> None:
    hires = {"scale": 2, "steps": 2, "denoising_strength": 0.5}
    by_network, by_lanczos = (
        make(upscaling, hires=Hires.model_validate({**hires, "upscaler": name}))[0]
        for name in ("Doubler", "Lanczos")
    )
    assert by_network != by_lanczos
    text = read_infotext(by_network)[0] or ""
    assert "Hires upscaler: Doubler" in text


def test_start_pictures_are_enlarged_by_the_upscaler_of_the_settings(upscaling: Services) -> None:
    source = ImageToImage(images=(stored_picture(upscaling, 32),), denoising_strength=0.3)
    plain, by_network = (
        make(upscaling, image_to_image=source, override_settings={"upscaler_for_img2img": name})
        for name in ("None", "Doubler")
    )
    assert plain != by_network


def test_an_unknown_upscaler_fails_before_the_first_pass(upscaling: Services) -> None:
    request = GenerationRequest.model_validate({**BASE, "hires": Hires(upscaler="R-ESRGAN 4x+")})
    view = upscaling.jobs.wait(upscaling.jobs.submit(request, "artist"), WAIT)
    assert view.state is JobState.FAILED
    assert "put RealESRGAN_x4plus.pth into the folder models/RealESRGAN" in (view.error or "")
    assert view.step == 0


def test_a_picture_that_is_ended_early_can_be_its_last_preview(upscaling: Services) -> None:
    settings = {"live_preview_fast_interrupt": True}
    request = GenerationRequest.model_validate({**BASE, "steps": 150, "override_settings": settings})
    job = upscaling.jobs.submit(request, "artist")
    while upscaling.jobs.view(job).step == 0 and not upscaling.jobs.view(job).state.is_final:
        upscaling.jobs.wait(job, 0.01)
    upscaling.jobs.interrupt(job)
    view = finished(upscaling, job)
    assert [(image.width, image.height) for image in view.images] == [(64, 64)]
