"""The setting "FP8 weight" as a user sees it: which models it holds for, what the picture says and shows."""

from pathlib import Path

import numpy as np
import pytest

from modules.domain.request import GenerationRequest, Hires
from modules.generation.resolve import Catalogs, freeze_request, resolve
from modules.imaging.metadata import read_infotext
from modules.services import Services
from modules.settings.options import Settings
from tests.generation.test_pictures import BASE, make, pixels


@pytest.fixture(scope="module")
def catalogs(services: Services) -> Catalogs:
    return Catalogs(services.catalog, services.networks, services.styles, services.upscalers, services.faces)


@pytest.mark.parametrize(
    ("mode", "cached", "small", "large"),
    [
        ("Disable", True, "as computed", "as computed"),
        ("Enable for SDXL", False, "as computed", "fp8"),
        ("Enable", False, "fp8", "fp8"),
        ("Enable", True, "fp8 and exact", "fp8 and exact"),
    ],
)
def test_the_setting_holds_for_the_checkpoints_it_names(
    catalogs: Catalogs, mode: str, cached: bool, small: str, large: str
) -> None:
    settings = Settings().overridden({"fp8_storage": mode, "cache_fp16_weight": cached})
    hires = Hires(scale=1.5, denoising_strength=0.5, checkpoint="tiny-sdxl")
    request = GenerationRequest.model_validate({**BASE, "hires": hires})
    plan = resolve(freeze_request(request, settings), catalogs)
    assert plan.hires is not None
    assert (plan.model.weights, plan.hires.model.weights) == (small, large)


def test_a_picture_of_rounded_weights_says_so_and_shares_no_step_with_others(
    services: Services, tmp_path: Path
) -> None:
    setting = {"fp8_storage": "Enable"}
    plain = make(services, seed=41)
    narrow = make(services, seed=41, override_settings=setting)
    assert "FP8" not in text_of(plain, tmp_path)
    assert "FP8 weight: Enable, Cache FP16 weight for LoRA: False" in text_of(narrow, tmp_path)
    assert not np.array_equal(pixels(narrow[0], tmp_path), pixels(plain[0], tmp_path))
    assert make(services, seed=41) == plain
    assert make(services, seed=41, override_settings=setting) == narrow


def text_of(pictures: list[bytes], folder: Path) -> str:
    file = folder / "picture.png"
    file.write_bytes(pictures[0])
    return str(read_infotext(file)[0])
