import base64
import io

import pytest
from PIL import Image
from safetensors.torch import save_file

from modules.imaging.metadata import encode_image
from modules.networks.upscalers.compact import CompactNet
from tests.server.sdapi.test_generate import picture
from tests.server.studio import Studio

SINGLE, BATCH = "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images"
LARGE = picture((4000, 4000), "1")


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_a_picture_is_enlarged_by_a_factor(standing: Studio) -> None:
    body = standing.post(
        SINGLE, {"image": picture((16, 8)), "upscaler_1": "Lanczos", "upscaling_resize": 2}
    ).json()
    assert opened(body["image"]).size == (32, 16)
    assert "Lanczos" in body["html_info"]


def test_with_defaults_only_the_picture_comes_back_unchanged(standing: Studio) -> None:
    for extra in ({}, {"model": "clip"}):
        body = standing.post(SINGLE, {"image": picture((16, 8)), **extra}).json()
        assert opened(body["image"]).size == (16, 8)


def test_a_picture_is_cut_to_a_size(standing: Studio) -> None:
    asked = {
        "image": picture((16, 8)),
        "resize_mode": 1,
        "upscaling_resize_w": 40,
        "upscaling_resize_h": 40,
        "upscaler_1": "Nearest",
    }
    assert opened(standing.post(SINGLE, asked).json()["image"]).size == (40, 40)
    uncut = standing.post(SINGLE, {**asked, "upscaling_crop": False}).json()
    assert opened(uncut["image"]).size == (80, 40)


def test_two_upscalers_are_blended(standing: Studio) -> None:
    asked = {"image": picture((8, 8)), "upscaler_1": "Lanczos", "upscaler_2": "Nearest"}
    answer = standing.post(SINGLE, {**asked, "extras_upscaler_2_visibility": 0.5})
    assert opened(answer.json()["image"]).size == (16, 16)


def test_the_parameters_of_the_picture_are_kept(standing: Studio) -> None:
    text = "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7.0, Seed: 1"
    content = base64.b64encode(encode_image(Image.new("RGB", (8, 8)), "png", text)).decode()
    body = standing.post(SINGLE, {"image": content, "upscaler_1": "Lanczos"}).json()
    assert opened(body["image"]).info["parameters"] == text


def test_a_batch_comes_back_in_its_order(standing: Studio) -> None:
    pictures = [{"data": picture((8 * i, 8)), "name": f"{i}.png"} for i in (1, 2, 3)]
    body = standing.post(BATCH, {"imageList": pictures, "upscaler_1": "Nearest"}).json()
    assert [opened(text).size for text in body["images"]] == [(16, 16), (32, 16), (48, 16)]


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"upscaler_1": "Dreams"}, 404, "upscaler_1"),
        ({"upscaler_2": "Dreams"}, 404, "upscaler_2"),
        ({"image": "?"}, 422, "image"),
        ({"image": ""}, 422, "image"),
        ({"gfpgan_visibility": 1}, 422, "gfpgan_visibility"),
        ({"upscaling_resize": 0}, 422, "upscaling_resize"),
        ({"upscaling_resize": 1e9}, 422, "upscaling_resize"),
        ({"upscaler_1": "Lanczos", "upscaling_resize": 0.01}, 422, "upscaling_resize"),
        (
            {"image": picture((4000, 4000), "1"), "upscaler_1": "Lanczos", "upscaling_resize": 4},
            422,
            "upscaling_resize",
        ),
    ],
)
def test_impossible_wishes_are_refused(
    standing: Studio, changes: dict[str, object], status: int, field: str
) -> None:
    answer = standing.post(SINGLE, {"image": picture((16, 8)), **changes})
    assert answer.status_code == status, answer.text
    assert field in answer.text


def test_upscalers_begin_with_the_plain_ones_and_new_files_follow(studio: Studio) -> None:
    def listed(path: str) -> list[dict[str, object]]:
        body: list[dict[str, object]] = studio.get(path).json()
        return body

    models = studio.services.options.folders.models
    for name in ("ESRGAN/2x_Mine.pth", "RealESRGAN/RealESRGAN_x4plus.pth"):
        (models / name).parent.mkdir(parents=True)
        (models / name).write_bytes(b"")
    plain = {"model_name": None, "model_path": None, "model_url": None, "scale": 4}
    mine = {"model_name": "ESRGAN_4x", "model_path": str(models / "ESRGAN/2x_Mine.pth"), "model_url": None}
    items = listed("/sdapi/v1/upscalers")
    assert items[:4] == [
        *({"name": name, **plain} for name in ("None", "Lanczos", "Nearest")),
        {"name": "2x_Mine", **mine, "scale": 2},
    ]
    path = str(models / "RealESRGAN/RealESRGAN_x4plus.pth")
    assert items[4]["name"] == "R-ESRGAN 4x+"
    assert listed("/sdapi/v1/realesrgan-models") == [{"name": "R-ESRGAN 4x+", "path": path, "scale": 4}]
    assert listed("/sdapi/v1/face-restorers") == []


def test_what_was_done_is_said_as_a1111_says_it(studio: Studio) -> None:
    asked = {
        "image": picture((16, 8)),
        "resize_mode": 1,
        "upscaling_resize_w": 32,
        "upscaling_resize_h": 32,
        "upscaler_1": "Lanczos",
        "upscaler_2": "Nearest",
        "extras_upscaler_2_visibility": 0.5,
    }
    said = (
        "Postprocess upscale to: 32x32, Postprocess crop to: 32x32, Postprocess upscaler: Lanczos, "
        "Postprocess upscaler 2: Nearest"
    )
    body = studio.post(SINGLE, asked).json()
    assert body["html_info"] == f"<p>{said}</p>"
    assert opened(body["image"]).info["postprocessing"] == said


def test_pictures_are_enlarged_by_a_networks_file(studio: Studio) -> None:
    folder = studio.services.options.folders.models / "ESRGAN"
    folder.mkdir(parents=True)
    save_file(CompactNet(4, 1, 2).state_dict(), folder / "Doubler.safetensors")
    body = studio.post(SINGLE, {"image": picture((16, 8)), "upscaler_1": "doubler"}).json()
    assert opened(body["image"]).size == (32, 16)


def test_a_damaged_upscaler_is_told_by_its_name(studio: Studio) -> None:
    folder = studio.services.options.folders.models / "ESRGAN"
    folder.mkdir(parents=True)
    (folder / "bad.safetensors").write_bytes(b"nothing")
    answer = studio.post(SINGLE, {"image": picture((16, 8)), "upscaler_1": "bad"})
    assert answer.status_code in range(400, 600)
    assert "bad.safetensors" in answer.text


def test_a_missing_face_restorer_says_which_file_to_put_where(studio: Studio) -> None:
    answer = studio.post(SINGLE, {"image": picture((16, 8)), "codeformer_visibility": 1})
    assert "codeformer-v0.1.0.pth into the folder models/Codeformer" in answer.text
