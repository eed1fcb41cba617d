"""What A1111's own API tests ask of a server, over a real connection: each answer must be 200."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw

from modules.server.lifecycle import Lifecycle
from tests.server.sdapi.test_generate import BASE
from tests.server.studio import open_studio
from tests.server.test_run import serving

COMPLEX = "((emphasis)), (emphasis1:1.1), [to:1], [from::2], [from:to:0.3], [alt|alt1]"


def data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def basic() -> Image.Image:
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).ellipse((8, 8, 56, 56), "teal")
    return image


def mask() -> Image.Image:
    image = Image.new("RGB", (64, 64), "black")
    ImageDraw.Draw(image).rectangle((16, 16, 48, 48), "white")
    return image


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        open_studio(tmp_path_factory.mktemp("studio")) as studio,
        serving(studio, Lifecycle()) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"negative_prompt": "example negative prompt"},
        {"prompt": COMPLEX},
        {"height": 128},
        {"enable_hr": True},
        {"tiling": True},
        {"restore_faces": True},
        {"sampler_index": "PLMS"},
        {"sampler_index": "DDIM"},
        {"sampler_index": "UniPC"},
        {"n_iter": 2},
        {"batch_size": 2},
    ],
    ids=["simple", "negative", "complex", "not square", "hires", "tiling", "faces", "PLMS", "DDIM", "UniPC",
         "two batches", "batch of two"],
)  # fmt: skip
def test_txt2img(server: httpx.Client, changes: dict[str, Any]) -> None:
    assert server.post("/sdapi/v1/txt2img", json={**BASE, **changes}).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mask": data_uri(mask())},
        {"mask": data_uri(mask()), "inpainting_mask_invert": True},
        {"script_name": "sd upscale", "script_args": ["", 8, "Lanczos", 2.0]},
    ],
    ids=["simple", "masked", "masked inverted", "sd upscale"],
)
def test_img2img(server: httpx.Client, changes: dict[str, Any]) -> None:
    payload = {
        **BASE, "denoising_strength": 0.75, "init_images": [data_uri(basic())], "inpaint_full_res": False,
        "inpainting_fill": 0, "inpainting_mask_invert": False, "mask": None, "mask_blur": 4,
        "override_settings": {}, "resize_mode": 0, "include_init_images": False, **changes,
    }  # fmt: skip
    answer = server.post("/sdapi/v1/img2img", json=payload)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "asked",
    [
        {
            "resize_mode": 0, "show_extras_results": True, "gfpgan_visibility": 0, "codeformer_visibility": 0,
            "codeformer_weight": 0, "upscaling_resize": 2, "upscaling_resize_w": 128,
            "upscaling_resize_h": 128, "upscaling_crop": True, "upscaler_1": "Lanczos", "upscaler_2": "None",
            "extras_upscaler_2_visibility": 0,
        },
        {},
        {"model": "clip"},
    ],
    ids=["Lanczos", "only a picture", "a foreign field"],
)  # fmt: skip
def test_extras(server: httpx.Client, asked: dict[str, Any]) -> None:
    answer = server.post("/sdapi/v1/extra-single-image", json={"image": data_uri(basic()), **asked})
    assert answer.status_code == 200, answer.text


def test_options_are_written(server: httpx.Client) -> None:
    before = server.get("/sdapi/v1/options").json()["send_seed"]
    for value in (not before, before):
        assert server.post("/sdapi/v1/options", json={"send_seed": value}).status_code == 200
        assert server.get("/sdapi/v1/options").json()["send_seed"] is value


@pytest.mark.parametrize(
    "route",
    ["cmd-flags", "samplers", "upscalers", "sd-models", "hypernetworks", "face-restorers",
     "realesrgan-models", "prompt-styles", "embeddings", "artists", "artist-categories"],
)  # fmt: skip
def test_lists(server: httpx.Client, route: str) -> None:
    assert server.get(f"/sdapi/v1/{route}").status_code == 200
