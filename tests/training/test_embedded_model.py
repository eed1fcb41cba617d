"""The shipped default model, drawn with as a user would."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

from modules.app import create_services
from modules.domain.job import JobState
from modules.domain.request import GenerationRequest
from modules.services import Services
from modules.settings.launch import Folders, LaunchOptions

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "Stable-diffusion" / "embedded.safetensors"
WAIT = 240.0  # seconds; a picture takes about two on two free cores


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    data = tmp_path_factory.mktemp("studio")
    folders = Folders(
        data=data / "data",
        models=ROOT / "models",
        outputs=data / "outputs",
        embeddings=data / "embeddings",
        extensions=data / "extensions",
    )
    opened = create_services(LaunchOptions(folders=folders, device="cpu", checkpoint="embedded"))
    opened.runner.start()
    try:
        yield opened
    finally:
        opened.runner.stop()
        opened.jobs.close()


def _draw(services: Services, prompt: str, steps: int = 12) -> NDArray[np.int64]:
    request = GenerationRequest.model_validate(
        {
            "prompt": prompt,
            "seed": 1,
            "steps": steps,
            "cfg_scale": 4.0,
            "width": 256,
            "height": 256,
            "sampler_name": "DPM++ 2M",
            "checkpoint": "embedded",
        }
    )
    view = services.jobs.wait(services.jobs.submit(request, "artist"), WAIT)
    assert view.state is JobState.DONE, view.error
    path = next(image.path for image in view.images if image.index >= 0)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def _corner(picture: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.median(picture[4:24, 4:24].reshape(-1, 3), axis=0)


def test_the_file_is_small_enough_for_a_repository() -> None:
    assert MODEL.stat().st_size <= 60_000_000


def test_the_file_carries_its_attribution() -> None:
    with safe_open(MODEL, "pt") as file:
        attribution = file.metadata()["attribution"]
    assert "Noto Emoji, (c) Google" in attribution
    assert "Fluent Emoji, (c) Microsoft" in attribution


def test_a_red_apple_is_red_on_white(services: Services) -> None:
    picture = _draw(services, "a red apple")
    assert _corner(picture).min() > 215
    middle = np.median(picture[110:170, 90:166].reshape(-1, 3), axis=0)
    assert middle[0] > 150
    assert middle[1:].max() < 110


def test_the_background_has_the_colour_that_was_asked_for(services: Services) -> None:
    red, green, blue = _corner(_draw(services, "a cat, blue background"))
    assert blue > red + 60
    assert blue > green + 40


def test_usual_prompt_words_do_not_break_a_picture(services: Services) -> None:
    picture = _draw(services, "masterpiece, best quality, a red apple, highly detailed")
    assert _corner(picture).min() > 200
    middle = np.median(picture[110:170, 90:166].reshape(-1, 3), axis=0)
    assert middle[0] > middle[1:].max() + 50


def test_an_empty_prompt_gives_a_picture_that_is_not_empty(services: Services) -> None:
    assert _draw(services, "").std() > 10
