import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from pydantic import JsonValue

from modules.domain.infotext import parse_infotext
from modules.domain.infotext_request import (
    PastedParameters,
    build_request,
    pasted_parameters,
    request_from_infotext,
)
from modules.domain.request import GenerationRequest
from modules.settings.options import Settings, infotext_options

DEFAULTS = Settings().as_json()
TEXT = (
    "a cat\nNegative prompt: bad\nSteps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, "
    "Seed: 42, Size: 512x768, Model hash: 6ce0161689, Model: v1-5"
)


def paste(text: str, settings: dict[str, JsonValue] | None = None) -> PastedParameters:
    return pasted_parameters(
        parse_infotext(text), settings=settings or DEFAULTS, setting_keys=infotext_options()
    )


def request(text: str) -> tuple[GenerationRequest, tuple[str, ...]]:
    return request_from_infotext(text, settings=DEFAULTS, setting_keys=infotext_options())


def test_a_plain_text_becomes_its_request() -> None:
    made, comments = request(TEXT)

    assert comments == ()
    assert (made.prompt, made.negative_prompt) == ("a cat", "bad")
    assert (made.steps, made.sampler_name, made.scheduler) == (30, "DPM++ 2M", "Karras")
    assert (made.cfg_scale, made.seed, made.width, made.height) == (6.5, 42, 512, 768)
    assert made.checkpoint == "6ce0161689"
    assert made.kind == "txt2img"
    assert made.override_settings == {}


def test_faces_are_restored_unless_the_text_says_no() -> None:
    for said, wanted in (("CodeFormer", True), ("False", False)):
        assert paste(f"{TEXT}, Face restoration: {said}").fields["restore_faces"] is wanted


def test_an_automatic_schedule_stays_open() -> None:
    assert request(TEXT.replace("Karras", "Automatic"))[0].scheduler is None


def test_settings_that_differ_become_overrides() -> None:
    made, _ = request(
        f"{TEXT}, Clip skip: 2, ENSD: 31337, RNG: CPU, Tiling: True, Eta: 0.5, VAE: x.safetensors"
    )

    assert made.override_settings == {
        "CLIP_stop_at_last_layers": 2,
        "eta_noise_seed_delta": 31337,
        "randn_source": "CPU",
        "tiling": True,
        "eta_ancestral": 0.5,
        "sd_vae": "x.safetensors",
    }


def test_an_absent_key_overrides_a_setting_that_is_no_longer_the_default() -> None:
    current = Settings().overridden({"CLIP_stop_at_last_layers": 2, "randn_source": "NV"}).as_json()

    assert paste(TEXT, current).override_settings == {"CLIP_stop_at_last_layers": 1, "randn_source": "GPU"}


def test_values_equal_to_the_current_settings_are_no_overrides() -> None:
    current = Settings().overridden({"CLIP_stop_at_last_layers": 2}).as_json()

    assert paste(f"{TEXT}, Clip skip: 2", current).override_settings == {}


def test_hires_keys_make_a_second_pass() -> None:
    made, comments = request(
        f"{TEXT}, Denoising strength: 0.4, Hires upscale: 1.5, Hires steps: 10, Hires upscaler: Lanczos, "
        "Hires sampler: Euler, Hires prompt: a dog, Refiner: other [abc], Refiner switch at: 0.6"
    )

    assert comments == ()
    assert made.hires is not None
    assert made.refiner is not None
    assert (made.hires.scale, made.hires.steps, made.hires.upscaler) == (1.5, 10, "Lanczos")
    assert (made.hires.sampler_name, made.hires.scheduler) == ("Euler", None)
    assert (made.hires.denoising_strength, made.hires.prompt) == (0.4, "a dog")
    assert (made.refiner.checkpoint, made.refiner.switch_at) == ("other [abc]", 0.6)


def test_a_picture_made_from_another_one_says_what_is_missing() -> None:
    made, comments = request(f"{TEXT}, Denoising strength: 0.75")

    assert made.kind == "txt2img"
    assert any("another picture" in comment for comment in comments)


def test_with_its_start_picture_and_mask_an_inpainting_is_complete() -> None:
    pasted = paste(
        f"{TEXT}, Denoising strength: 0.6, Mask blur: 8, Mask mode: Inpaint not masked, "
        "Inpaint area: Only masked, Masked area padding: 16, Masked content: latent noise"
    )

    made, comments = build_request(pasted, images=("start",), mask="mask")

    assert comments == ()
    start = made.image_to_image
    assert start is not None
    assert (start.images, start.mask, start.denoising_strength) == (("start",), "mask", 0.6)
    assert (start.mask_blur_x, start.mask_blur_y) == (8, 8)
    assert (start.inpainting_mask_invert, start.inpaint_full_res) == (True, True)
    assert (start.inpaint_full_res_padding, start.inpainting_fill) == (16, 2)


def test_variations_and_seed_resize_are_restored() -> None:
    made, _ = request(f"{TEXT}, Variation seed: 7, Variation seed strength: 0.3, Seed resize from: 256x320")

    assert (made.subseed, made.subseed_strength) == (7, 0.3)
    assert (made.seed_resize_from_w, made.seed_resize_from_h) == (256, 320)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (TEXT.replace("Steps: 30", "Steps: many"), "Steps"),
        (TEXT.replace("Steps: 30", "Steps: -4"), "steps"),
        (TEXT.replace("Steps: 30", "Steps: " + "9" * 5000), "Steps"),
        (TEXT.replace("CFG scale: 6.5", "CFG scale: nan"), "CFG scale"),
        (TEXT.replace("512x768", "513x768"), "width"),
        (TEXT.replace("512x768", "8192x8192"), "pixels"),
        (TEXT + ", Denoising strength: 0.4, Hires upscale: 99", "scale"),
        (TEXT + ", ControlNet 0: something", "ControlNet 0"),
        (TEXT + ", Masked content: glitter", "glitter"),
    ],
)
def test_what_makes_no_sense_is_left_out_and_named(bad: str, word: str) -> None:
    made, comments = request(bad)

    assert made.prompt == "a cat"
    assert made.seed == 42
    assert any(word in comment for comment in comments)
    assert all(len(comment) < 200 for comment in comments)


@profile(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from([*infotext_options(), "Steps", "Size", "Seed", "Hires upscale", "Denoising strength",
                         "Refiner", "Refiner switch at", "Mask blur", "Variation seed strength"]),
        st.text(max_size=20) | st.integers() | st.floats() | st.just("10x20"), min_size=3,
    )
)  # fmt: skip
def test_no_text_whatever_makes_the_conversion_fail(parameters: dict[str, object]) -> None:
    text = "x\n" + ", ".join(f"{key}: {value}" for key, value in parameters.items())

    made, _ = request(text)

    assert made.image_count == 1


def test_what_only_forge_knows_is_named() -> None:
    text = (
        "a cat\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M SDE, Schedule type: Karras, "
        "CFG scale: 3.5, Distilled CFG Scale: 3.5, Seed: 42, Size: 512x768, Model hash: 6ce0161689, "
        "Model: v1-5, Denoising strength: 0.7, Hires CFG Scale: 7, Hires Module 1: Use same choices, "
        "Hires upscale: 2, Hires upscaler: Latent, Module 1: ae, "
        "Version: f2.0.1v1.10.1-previous-224-g900196889, Diffusion in Low Bits: bnb-nf4"
    )
    made, comments = request(text)

    assert (made.sampler_name, made.scheduler, made.cfg_scale) == ("DPM++ 2M SDE", "Karras", 3.5)
    assert made.hires is not None
    assert (made.hires.scale, made.hires.denoising_strength) == (2.0, 0.7)
    foreign = (
        "Distilled CFG Scale",
        "Hires CFG Scale",
        "Hires Module 1",
        "Module 1",
        "Diffusion in Low Bits",
    )
    assert comments == tuple(f'"{key}" is not known here and was ignored' for key in foreign)
