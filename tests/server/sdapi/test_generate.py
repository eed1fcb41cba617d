import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.server.studio import Studio, open_studio
from tests.stub_runner import read_stub_picture

TXT2IMG, IMG2IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
# What A1111's own clients send with every request
BASE: dict[str, Any] = {
    "batch_size": 1, "cfg_scale": 7, "denoising_strength": 0, "enable_hr": False, "eta": 0,
    "firstphase_height": 0, "firstphase_width": 0, "height": 64, "n_iter": 1, "negative_prompt": "",
    "prompt": "example prompt", "restore_faces": False, "s_churn": 0, "s_noise": 1, "s_tmax": 0,
    "s_tmin": 0, "sampler_index": "Euler a", "seed": -1, "seed_resize_from_h": -1,
    "seed_resize_from_w": -1, "steps": 3, "styles": [], "subseed": -1, "subseed_strength": 0,
    "tiling": False, "width": 64,
}  # fmt: skip


def picture(size: tuple[int, int] = (16, 8), mode: str = "RGB", format: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"negative_prompt": "example negative prompt"},
        {"prompt": "((emphasis)), (emphasis1:1.1), [to:1], [from::2], [from:to:0.3], [alt|alt1]"},
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
)
def test_a_plain_client_gets_its_pictures(standing: Studio, changes: dict[str, Any]) -> None:
    answer = standing.post(TXT2IMG, {**BASE, **changes})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"images", "parameters", "info"}
    assert len(body["images"]) == {"n_iter": 2, "batch_size": 2}.get(next(iter(changes), ""), 1)
    assert json.loads(body["info"])["prompt"] == {**BASE, **changes}["prompt"]
    assert body["parameters"]["steps"] == 3
    assert float(answer.headers["x-process-time"]) >= 0


def test_numbers_are_taken_as_a1111_took_them(standing: Studio) -> None:
    changes = {"width": 64.5, "steps": 1.9, "seed": 7.0, "prompt": 5, "negative_prompt": 0.5, "styles": [1]}
    answer = standing.post(TXT2IMG, {**BASE, **changes})
    assert answer.status_code == 200, answer.text
    asked = answer.json()["parameters"]
    assert (asked["width"], asked["steps"], asked["seed"]) == (64, 1, 7)
    assert (asked["prompt"], asked["negative_prompt"], asked["styles"]) == ("5", "0.5", ["1"])
    extras = {"image": picture(), "resize_mode": 1, "upscaling_resize_w": 64.5, "upscaling_resize_h": 32.9}
    assert standing.post("/sdapi/v1/extra-single-image", extras).status_code == 200
    for wrong in ({"width": "wide"}, {"width": float("1e300")}, {"prompt": True}, {"prompt": [5]}):
        assert standing.post(TXT2IMG, {**BASE, **wrong}).status_code == 422, wrong
    kept = {"eta_noise_seed_delta": 5, "samples_format": "png"}
    echo = standing.post(TXT2IMG, {**BASE, "override_settings": kept}).json()["parameters"]
    assert echo["override_settings"] == kept


def test_a_second_pass_has_a_size_or_a_factor(standing: Studio) -> None:
    hires = {**BASE, "enable_hr": True, "hr_scale": 0, "denoising_strength": 0.5}
    assert standing.post(TXT2IMG, {**hires, "hr_resize_x": 128, "hr_resize_y": 128}).status_code == 200
    assert standing.post(TXT2IMG, hires).json()["field"] == "hr_scale"


def test_the_files_own_bytes_are_sent_with_their_parameters(studio: Studio) -> None:
    body = studio.post(TXT2IMG, {**BASE, "seed": 41, "batch_size": 2}).json()
    contents = [base64.b64decode(text) for text in body["images"]]
    assert [read_stub_picture(content)[1] for content in contents] == [41, 42]
    files = {path.read_bytes() for path in studio.services.options.folders.outputs.glob("*.png")}
    assert set(contents) == files
    with Image.open(io.BytesIO(contents[0])) as image:
        assert "Seed: 41" in image.info["parameters"]


def test_the_format_follows_the_setting_of_the_request(studio: Studio) -> None:
    body = studio.post(TXT2IMG, {**BASE, "override_settings": {"samples_format": "jpg"}}).json()
    content = base64.b64decode(body["images"][0])
    assert content.startswith(b"\xff\xd8\xff")
    assert studio.services.settings.current.samples_format == "png"


def test_an_empty_body_is_a_request_with_all_defaults(studio: Studio) -> None:
    body = studio.post(TXT2IMG, {}).json()
    assert len(body["images"]) == 1
    assert (body["parameters"]["steps"], body["parameters"]["width"]) == (50, 512)


def test_null_means_the_default_everywhere(studio: Studio) -> None:
    assert studio.post(TXT2IMG, dict.fromkeys(BASE)).status_code == 200


def test_json_without_a_content_type_is_understood(studio: Studio) -> None:
    answer = studio.request("POST", TXT2IMG, content=json.dumps(BASE))
    assert answer.status_code == 200


def test_unknown_fields_are_ignored_and_numbers_as_text_are_understood(studio: Studio) -> None:
    answer = studio.post(TXT2IMG, {**BASE, "steps": "4", "a_field_of_the_future": {"x": 1}})
    assert answer.json()["parameters"]["steps"] == 4


def test_pictures_can_be_left_out_of_the_answer(studio: Studio) -> None:
    body = studio.post(TXT2IMG, {**BASE, "send_images": False}).json()
    assert body["images"] == []
    assert body["info"] != "{}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0), ("steps", -1), ("steps", 1001), ("steps", 10**9), ("steps", "many"), ("steps", "2.5"),
        ("width", 0), ("width", -8), ("width", 7), ("width", 8200), ("width", 10**9), ("width", 2**63),
        ("height", 0), ("height", []), ("cfg_scale", "NaN"), ("cfg_scale", {}), ("batch_size", 0),
        ("n_iter", -1), ("n_iter", 10**6), ("seed", -2), ("seed", 2**64), ("seed", "1.5"), ("prompt", True),
        ("subseed_strength", 2), ("styles", "one"), ("override_settings", []), ("alwayson_scripts", []),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_and_named(standing: Studio, field: str, value: object) -> None:
    before = standing.services.jobs.recent("local")
    answer = standing.post(TXT2IMG, {**BASE, field: value})
    assert answer.status_code == 422, answer.text
    assert field in answer.text
    assert standing.services.jobs.recent("local") == before


def test_a_width_between_two_cells_is_rounded_down(studio: Studio) -> None:
    body = studio.post(TXT2IMG, {**BASE, "width": 67}).json()
    with Image.open(io.BytesIO(base64.b64decode(body["images"][0]))) as image:
        assert image.width == 64


def test_not_a_number_in_the_body_is_refused(studio: Studio) -> None:
    answer = studio.request("POST", TXT2IMG, content='{"cfg_scale": NaN}')
    assert answer.status_code == 422
    assert "cfg_scale" in answer.text


def test_an_unknown_sampler_is_answered_as_a1111_does(studio: Studio) -> None:
    answer = studio.post(TXT2IMG, {**BASE, "sampler_name": "Sampler of dreams"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "Sampler not found"
    assert set(answer.json()) >= {"error", "detail", "body", "errors"}


def test_a_schedule_may_stand_in_the_samplers_name(studio: Studio) -> None:
    for changes, expected in (
        ({"sampler_name": "DPM++ 2M Karras"}, "Automatic"),
        ({"sampler_name": "Euler a Karras"}, "Karras"),
        ({"sampler_name": "Euler a Karras", "scheduler": "Exponential"}, "Exponential"),
        ({"sampler_name": "k_euler_a"}, "Automatic"),
    ):
        assert studio.post(TXT2IMG, {**BASE, **changes}).status_code == 200
        latest = studio.services.jobs.latest("local")
        assert latest is not None
        request = studio.services.jobs.request(latest.id)
        assert request.scheduler == expected
        assert request.sampler_name in ("DPM++ 2M", "Euler a")


def test_hires_fields_reach_the_job(studio: Studio) -> None:
    changes = {
        "enable_hr": True, "denoising_strength": 0.4, "hr_scale": 1.5, "hr_upscaler": "Latent (nearest)",
        "hr_second_pass_steps": 7, "hr_prompt": "larger", "hr_sampler_name": "Use same sampler",
    }  # fmt: skip
    assert studio.post(TXT2IMG, {**BASE, **changes}).status_code == 200
    latest = studio.services.jobs.latest("local")
    assert latest is not None
    hires = studio.services.jobs.request(latest.id).hires
    assert hires is not None
    assert (hires.scale, hires.upscaler, hires.steps, hires.denoising_strength) == (
        1.5,
        "Latent (nearest)",
        7,
        0.4,
    )
    assert (hires.prompt, hires.sampler_name) == ("larger", None)


def test_a_wrong_hires_field_is_named_as_the_client_knows_it(studio: Studio) -> None:
    answer = studio.post(TXT2IMG, {**BASE, "enable_hr": True, "hr_scale": 100})
    assert (answer.status_code, answer.json()["field"]) == (422, "hr_scale")


def test_the_infotext_fills_what_is_not_given(studio: Studio) -> None:
    text = (
        "a red apple\nNegative prompt: worm\n"
        "Steps: 9, Sampler: Heun, CFG scale: 4.5, Seed: 77, Size: 128x64, Clip skip: 2"
    )
    assert studio.post(TXT2IMG, {"infotext": text, "steps": 4}).status_code == 200
    latest = studio.services.jobs.latest("local")
    assert latest is not None
    request = studio.services.jobs.request(latest.id)
    assert (request.prompt, request.negative_prompt, request.seed) == ("a red apple", "worm", 77)
    assert (request.steps, request.sampler_name, request.cfg_scale) == (4, "Heun", 4.5)
    assert (request.width, request.height) == (128, 64)
    assert request.override_settings["CLIP_stop_at_last_layers"] == 2


def test_hostile_infotext_is_refused_or_ignored(studio: Studio) -> None:
    for text in ("", "Steps: 1", "x" * 50_000, "a\nSteps: 10**9, Sampler: Euler, Seed: x", "\0\ud800"):
        content = json.dumps({**BASE, "infotext": text})
        assert studio.request("POST", TXT2IMG, content=content).status_code in (200, 400, 422)


def test_scripts_that_are_not_there_are_refused(studio: Studio) -> None:
    answer = studio.post(TXT2IMG, {**BASE, "script_name": "dream on"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "Script 'dream on' not found")
    answer = studio.post(TXT2IMG, {**BASE, "alwayson_scripts": {"no such": {"args": []}}})
    assert answer.status_code == 422
    assert studio.post(TXT2IMG, {**BASE, "alwayson_scripts": {"Sampler": {"args": []}}}).status_code == 200


def test_a_failed_job_is_an_error_with_its_sentence(studio: Studio) -> None:
    answer = studio.post(TXT2IMG, {**BASE, "prompt": "fail"})
    assert answer.status_code == 500
    assert answer.json()["detail"] == "the prompt asked for failure"


def test_a_request_refused_after_it_was_queued_names_its_field(studio: Studio) -> None:
    answer = studio.post(TXT2IMG, {**BASE, "prompt": "refuse"})
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "RequestError",
        "detail": "the prompt asked for refusal",
        "body": "",
        "errors": "the prompt asked for refusal",
        "field": "script_args",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mask": picture((16, 8), "L")},
        {"mask": picture((16, 8), "L"), "inpainting_mask_invert": True},
        {"mask": "data:image/png;base64," + picture((16, 8), "L"), "mask_blur": 3},
    ],
)
def test_pictures_go_in_and_out(standing: Studio, changes: dict[str, Any]) -> None:
    sent = {
        **BASE,
        "denoising_strength": 0.75,
        "init_images": [picture()],
        "inpaint_full_res": False,
        **changes,
    }
    answer = standing.post(IMG2IMG, sent)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert len(body["images"]) == 1
    assert body["parameters"]["init_images"] is None
    assert body["parameters"]["mask"] is None
    latest = standing.services.jobs.latest("local")
    assert latest is not None
    source = standing.services.jobs.request(latest.id).image_to_image
    assert source is not None
    assert standing.services.blobs.image(source.images[0]).size == (16, 8)
    assert (source.mask is not None) == ("mask" in changes)
    assert source.mask_blur_x == source.mask_blur_y == changes.get("mask_blur", 4)
    assert source.inpainting_mask_invert is bool(changes.get("inpainting_mask_invert", False))


def test_the_sent_pictures_come_back_when_asked_for(studio: Studio) -> None:
    sent = {**BASE, "init_images": [picture()], "include_init_images": True}
    assert studio.post(IMG2IMG, sent).json()["parameters"]["init_images"] == sent["init_images"]


def test_several_start_pictures_make_one_picture_each(standing: Studio) -> None:
    sent = {**BASE, "init_images": [picture(), picture((8, 8))], "batch_size": 4}
    assert len(standing.post(IMG2IMG, sent).json()["images"]) == 2
    refused = standing.post(IMG2IMG, {**sent, "batch_size": 1})
    assert (refused.status_code, refused.json()["field"]) == (422, "init_images")
    alone = {**sent, "init_images": [picture()]}
    assert len(standing.post(IMG2IMG, alone).json()["images"]) == 4


def test_img2img_without_a_picture_is_answered_as_a1111_does(studio: Studio) -> None:
    answer = studio.post(IMG2IMG, BASE)
    assert (answer.status_code, answer.json()["detail"]) == (404, "Init image not found")


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:9/x.png", "https://example.org/x.png", "!!!", "data:;base64,", "data:image/png,",
        base64.b64encode(b"plain text").decode(), base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(),
        picture()[:-40], picture((9000, 9000), "1"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused_without_an_echo(standing: Studio, text: str) -> None:
    for field in ("init_images", "mask"):
        sent: dict[str, Any] = {**BASE, "init_images": [picture()]}
        sent[field] = [text] if field == "init_images" else text
        answer = standing.post(IMG2IMG, sent)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
        assert len(answer.content) < 1000


def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    with open_studio(tmp_path, limit=0, start=False) as studio:
        answer = studio.post(TXT2IMG, BASE)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1


def test_every_accepted_request_is_answered_and_gets_its_own_picture(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> list[httpx.Response]:
        payloads = [{**BASE, "seed": 100 + i, "steps": 1} for i in range(30)]
        return await asyncio.gather(*(client.post(TXT2IMG, json=payload) for payload in payloads))

    with open_studio(tmp_path) as studio:
        answers = studio.run(story)
        seeds = [read_stub_picture(base64.b64decode(answer.json()["images"][0]))[1] for answer in answers]
        assert seeds == [100 + i for i in range(30)]
