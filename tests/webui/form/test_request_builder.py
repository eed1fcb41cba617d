import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.domain.request import GenerationRequest
from modules.exceptions import RequestError
from modules.webui.form.request_builder import Pictures, build_request, control_of

FORM: dict[str, object] = {
    "prompt": "a red apple",
    "neg_prompt": "blurry",
    "styles": ["soft"],
    "sampling": "Euler a",
    "scheduler": "Automatic",
    "steps": 20,
    "width": 256,
    "height": 128,
    "cfg_scale": 7,
    "seed": 5,
    "batch_count": 2,
    "batch_size": 3,
    "setting_sd_model_checkpoint": "embedded",
}


def build(**changes: object) -> GenerationRequest:
    return build_request(FORM | changes, overrides={})


def refusal(**changes: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        build(**changes)
    return caught.value


def test_a_form_becomes_the_request_it_shows() -> None:
    request = build()
    assert (request.prompt, request.negative_prompt, request.styles) == ("a red apple", "blurry", ("soft",))
    assert (request.width, request.height, request.image_count) == (256, 128, 6)
    assert (request.sampler_name, request.scheduler, request.checkpoint) == ("Euler a", None, "embedded")
    assert request.image_to_image is None
    assert request.hires is None


def test_an_empty_prompt_is_a_request() -> None:
    assert build_request({}, overrides={}).prompt == ""


def test_extra_seed_fields_count_only_while_extra_is_on() -> None:
    extra = {"subseed": 9, "subseed_strength": 0.5, "seed_resize_from_w": 512, "seed_resize_from_h": 512}
    assert build(**extra).subseed_strength == 0
    assert build(**extra).seed_resize_from_w <= 0
    assert build(**extra, subseed_show=True).subseed == 9


def test_hires_counts_only_while_its_switch_is_on() -> None:
    fields = {"hr_upscaler": "Latent", "hr_scale": 1.5, "denoising_strength": 0.4, "hires_steps": 7}
    assert build(**fields).hires is None
    hires = build(**fields, hr=True).hires
    assert hires is not None
    assert (hires.scale, hires.denoising_strength, hires.steps) == (1.5, 0.4, 7)


def test_the_second_pass_has_of_its_own_only_what_is_chosen() -> None:
    same: dict[str, object] = {"hr_checkpoint": "Use same checkpoint", "hr_sampler": "Use same sampler"}
    hires = build(hr=True, hr_scheduler="Karras", hr_prompt="sharp", **same).hires
    assert hires is not None
    assert (hires.checkpoint, hires.sampler_name) == (None, None)
    assert (hires.scheduler, hires.prompt) == ("Karras", "sharp")


def test_a_refiner_without_a_checkpoint_is_refused_beside_its_list() -> None:
    assert refusal(enable=True, checkpoint="").field == "checkpoint"


def test_a_picture_makes_it_image_to_image() -> None:
    form = FORM | {"resize_mode": "Crop and resize", "denoising_strength": 0.6}
    start = build_request(form, overrides={}, pictures=Pictures("abc")).image_to_image
    assert start is not None
    assert (start.images, start.resize_mode, start.denoising_strength, start.mask) == (("abc",), 1, 0.6, None)


def test_a_mask_carries_the_choices_of_the_tab() -> None:
    form = FORM | {
        "mask_blur": 8,
        "inpainting_fill": "latent noise",
        "inpaint_full_res": "Only masked",
        "inpaint_full_res_padding": 16,
        "mask_mode": "Inpaint not masked",
    }
    start = build_request(form, overrides={}, pictures=Pictures("abc", "def")).image_to_image
    assert start is not None
    assert (start.mask, start.mask_blur_x, start.mask_blur_y, start.inpainting_fill) == ("def", 8, 8, 2)
    assert (start.inpaint_full_res, start.inpaint_full_res_padding) == (True, 16)
    assert start.inpainting_mask_invert


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", 0),
        ("width", 100.5),
        ("height", -8),
        ("steps", -1),
        ("steps", 10**6),
        ("cfg_scale", math.nan),
        ("cfg_scale", math.inf),
        ("seed", "abc"),
        ("seed", None),
        ("batch_size", 0),
        ("batch_count", 0),
        ("denoising_strength", 1.5),
        ("hr_scale", 100),
    ],
)
def test_a_bad_number_is_one_sentence_beside_its_control(key: str, value: object) -> None:
    error = refusal(**({"hr": True} | {key: value}))
    assert error.field == key
    assert str(error).endswith(".")
    assert "\n" not in str(error)


def test_the_refusal_names_the_control_as_the_page_does_and_the_value() -> None:
    assert "Sampling steps" in str(refusal(steps=-1))
    assert "-1" in str(refusal(steps=-1))


def test_too_many_pixels_are_one_sentence() -> None:
    assert "pixels" in str(refusal(width=8192, height=8192))


@pytest.mark.parametrize(
    ("field", "control"),
    [
        ("negative_prompt", "neg_prompt"),
        ("n_iter", "batch_count"),
        ("hires.scale", "hr_scale"),
        ("checkpoint", "setting_sd_model_checkpoint"),
        ("width", "width"),
    ],
)
def test_every_field_of_a_request_has_its_control(field: str, control: str) -> None:
    assert control_of(field) == control


@given(
    st.dictionaries(
        st.sampled_from(sorted(FORM)),
        st.none()
        | st.booleans()
        | st.floats()
        | st.integers()
        | st.text(max_size=20)
        | st.lists(st.text(max_size=3)),
    )
)
def test_whatever_is_sent_is_a_request_or_one_sentence(changes: dict[str, object]) -> None:
    with contextlib.suppress(RequestError):
        assert build(**changes).steps >= 1
