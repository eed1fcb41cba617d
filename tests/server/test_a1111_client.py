"""A real client of A1111's API, unchanged, against a live server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import webuiapi  # type: ignore[import-untyped]
from PIL import Image

from modules.server.lifecycle import Lifecycle
from tests.server.studio import open_studio
from tests.server.test_run import serving

RED = Image.new("RGB", (64, 64), "red")
MASK = Image.new("L", (64, 64), 255)
LISTS = (
    "get_samplers", "get_schedulers", "get_sd_vae", "get_upscalers", "get_latent_upscale_modes", "get_loras",
    "get_sd_models", "get_hypernetworks", "get_face_restorers", "get_realesrgan_models", "get_prompt_styles",
    "get_artists", "get_artist_categories",
    "util_get_model_names", "util_get_sampler_names", "util_get_scheduler_names",
)  # fmt: skip
TABLES = ("get_options", "get_cmd_flags", "get_progress", "get_scripts", "get_embeddings", "get_memory")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webuiapi.WebUIApi]:
    root: Path = tmp_path_factory.mktemp("studio")
    with open_studio(root) as studio, serving(studio, Lifecycle()) as url:
        api = webuiapi.WebUIApi(port=int(url.rsplit(":", 1)[1]), steps=3)
        yield api
        api.session.close()


def test_it_makes_pictures_from_text(client: webuiapi.WebUIApi) -> None:
    result = client.txt2img(prompt="a cat", seed=5, width=64, height=64, batch_size=2, styles=[])
    assert [image.size for image in result.images] == [(64, 64)] * 2
    assert result.info["all_seeds"] == [5, 6]
    assert result.parameters["prompt"] == "a cat"


def test_it_makes_larger_pictures_in_a_second_pass(client: webuiapi.WebUIApi) -> None:
    modes = (webuiapi.HiResUpscaler.Latent, webuiapi.HiResUpscaler.LatentNearestExact)
    for mode in modes:
        result = client.txt2img(prompt="a cat", width=64, height=64, enable_hr=True, hr_upscaler=mode)
        assert len(result.images) == 1


def test_it_makes_pictures_from_pictures(client: webuiapi.WebUIApi) -> None:
    assert len(client.img2img(images=[RED], prompt="a cat", width=64, height=64).images) == 1
    mask = Image.new("L", (64, 64), 255)
    masked = client.img2img(images=[RED], mask_image=mask, inpainting_fill=1, width=64, height=64)
    assert len(masked.images) == 1


def test_it_enlarges_pictures(client: webuiapi.WebUIApi) -> None:
    single = client.extra_single_image(image=RED, upscaler_1=webuiapi.Upscaler.Lanczos, upscaling_resize=1.5)
    assert single.image.size == (96, 96)
    batch = client.extra_batch_images(images=[RED, RED], upscaler_1="Nearest", upscaling_resize=2)
    assert [image.size for image in batch.images] == [(128, 128)] * 2


def test_it_reads_the_parameters_of_its_pictures(client: webuiapi.WebUIApi) -> None:
    image = client.txt2img(prompt="a cat", seed=77, width=64, height=64).image
    assert "Seed: 77" in client.png_info(image).info


@pytest.mark.parametrize("method", LISTS)
def test_it_reads_every_list(client: webuiapi.WebUIApi, method: str) -> None:
    assert isinstance(getattr(client, method)(), list)


@pytest.mark.parametrize("method", TABLES)
def test_it_reads_every_table(client: webuiapi.WebUIApi, method: str) -> None:
    assert "error" not in getattr(client, method)()


@pytest.mark.parametrize(
    "changes",
    [
        {"sampler_name": "DPM++ 2M Karras"}, {"sampler_name": "Euler a", "scheduler": "Exponential"},
        {"sampler_index": "k_euler"}, {"tiling": True}, {"restore_faces": False}, {"n_iter": 2},
        {"subseed": 3, "subseed_strength": 0.3}, {"seed_resize_from_h": 64, "seed_resize_from_w": 64},
        {"cfg_scale": 0.5, "eta": 0.3}, {"s_churn": 0.1, "s_tmin": 0.1, "s_noise": 1.01},
        {"override_settings": {"CLIP_stop_at_last_layers": 2, "samples_format": "jpg"}},
        {"script_name": None, "script_args": []}, {"alwayson_scripts": {"Sampler": {"args": []}}},
        {"save_images": True}, {"send_images": False}, {"styles": ["unknown"]}, {"do_not_save_grid": True},
    ],
    ids=", ".join,
)  # fmt: skip
def test_its_arguments_of_txt2img_are_understood(
    client: webuiapi.WebUIApi, changes: dict[str, object]
) -> None:
    result = client.txt2img(prompt="a cat", negative_prompt="dog", seed=5, width=64, height=64, **changes)
    expected = 0 if changes.get("send_images") is False else changes.get("n_iter", 1)
    assert len(result.images) == expected
    assert result.info["prompt"] == "a cat"


@pytest.mark.parametrize(
    "changes",
    [
        {"resize_mode": 1}, {"resize_mode": 3, "denoising_strength": 0.2}, {"image_cfg_scale": 1.5},
        {"mask_image": MASK, "inpainting_fill": 2, "mask_blur": 2}, {"include_init_images": True},
        {"mask_image": MASK, "inpaint_full_res": True, "inpaint_full_res_padding": 8},
        {"mask_image": MASK, "inpainting_mask_invert": 1}, {"initial_noise_multiplier": 0.9},
    ],
    ids=", ".join,
)  # fmt: skip
def test_its_arguments_of_img2img_are_understood(
    client: webuiapi.WebUIApi, changes: dict[str, object]
) -> None:
    result = client.img2img(images=[RED], prompt="a cat", seed=5, width=64, height=64, **changes)
    assert len(result.images) == 1


def test_it_cuts_and_blends_enlarged_pictures(client: webuiapi.WebUIApi) -> None:
    asked = {"resize_mode": 1, "upscaling_resize_w": 96, "upscaling_resize_h": 40, "upscaler_2": "Nearest"}
    for crop, size in ((True, (96, 40)), (False, (96, 96))):
        result = client.extra_single_image(
            RED, upscaler_1="Lanczos", upscaling_crop=crop, extras_upscaler_2_visibility=0.4, **asked
        )
        assert result.image.size == size


def test_it_is_told_what_is_missing_to_describe_a_picture(client: webuiapi.WebUIApi) -> None:
    for model in ("clip", "deepdanbooru"):
        with pytest.raises(RuntimeError, match="installed") as told:
            client.interrogate(RED, model=model)
        assert told.value.args[0] == 404


def test_its_own_paths_lead_where_they_should(client: webuiapi.WebUIApi) -> None:
    assert client.custom_get("sdapi/v1/options", baseurl=False)["samples_format"] == "png"
    assert client.custom_get("samplers", baseurl=True)
    assert client.custom_post("txt2img", {"steps": 1, "width": 64, "height": 64}, baseurl=True).image


def test_it_logs_in_with_a_name_and_a_password(tmp_path: Path) -> None:
    with (
        open_studio(tmp_path, basic={"bot": "a long password"}) as studio,
        serving(studio, Lifecycle()) as url,
    ):
        api = webuiapi.WebUIApi(port=int(url.rsplit(":", 1)[1]), steps=1)
        with pytest.raises(RuntimeError, match="401"):
            api.txt2img(prompt="a cat", width=64, height=64)
        api.set_auth("bot", "a long password")
        assert len(api.txt2img(prompt="a cat", width=64, height=64).images) == 1
        api.session.close()


def test_it_steers_and_waits(client: webuiapi.WebUIApi) -> None:
    assert client.interrupt() == {}
    assert client.skip() is None
    assert client.refresh_checkpoints() is None
    client.util_wait_for_ready(check_interval=0.01)


def test_it_changes_options_and_the_model(client: webuiapi.WebUIApi) -> None:
    client.set_options({"send_seed": False})
    assert client.get_options()["send_seed"] is False
    client.util_set_model("tiny")
    assert client.util_get_current_model().startswith("tiny.safetensors")
