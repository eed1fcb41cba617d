"""The axes of the plot: A1111's order, values as users write them, and what a value changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.domain.axis_values import parse_values, split_list, write_list
from modules.domain.plot_axes import AXES, FIXED_CHOICES, AxisValue, apply_value, axes_of, axis_label
from modules.domain.request import GenerationRequest, Hires, ImageToImage, Refiner
from modules.exceptions import RequestError
from tests.domain.timing import assert_linear

BY_LABEL = {axis.label: axis for axis in AXES}
TXT2IMG = GenerationRequest(prompt="a cat", hires=Hires(), refiner=Refiner(checkpoint="r"), steps=20)
IMG2IMG = GenerationRequest(prompt="a cat", image_to_image=ImageToImage(images=("0" * 64,)))


def test_places_are_those_that_a1111s_clients_send() -> None:
    labels = [axis.label for axis in axes_of("txt2img")]
    assert labels[:6] == ["Nothing", "Seed", "Var. seed", "Var. strength", "Steps", "Hires steps"]
    assert labels[8:12] == ["Prompt order", "Sampler", "Hires sampler", "Checkpoint name"]
    labels = [axis.label for axis in axes_of("img2img")]
    assert labels[4:8] == ["Steps", "CFG Scale", "Image CFG Scale", "Prompt S/R"]
    assert "Hires steps" not in labels
    assert labels[-1] == "Size"


@pytest.mark.parametrize(
    ("label", "written", "values"),
    [
        ("Steps", "3,7", (3, 7)),
        ("Steps", "1-5", (1, 2, 3, 4, 5)),
        ("Steps", "1-10 (+3), 20", (1, 4, 7, 10, 20)),
        ("Steps", "5-1 (-2)", (5, 3)),
        ("Steps", "0-10 [3]", (0, 5, 10)),
        ("Steps", "1-10 [4]", (1, 4, 7, 10)),
        ("CFG Scale", "1-2 (+0.5)", (1.0, 1.5, 2.0)),
        ("CFG Scale", "0-1 [5]", (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("CFG Scale", "7", (7.0,)),
        ("Seed", "-1", (-1,)),
        ("Sampler", 'Euler, "a, b"', ("Euler", "a, b")),
        ("Prompt order", "a,b", (("a", "b"), ("b", "a"))),
        ("Nothing", "whatever", (0,)),
    ],
)  # fmt: skip
def test_values_are_read_as_a1111_reads_them(label: str, written: str, values: tuple[AxisValue, ...]) -> None:
    assert parse_values(BY_LABEL[label], split_list(written)) == values


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=20).map(str.strip))
)
def test_a_written_list_is_read_back(entries: list[str]) -> None:
    assert split_list(write_list(entries)) == entries


@given(st.text(max_size=300), st.sampled_from(["Steps", "CFG Scale", "Sampler"]))
def test_any_text_gives_values_or_a_sentence(text: str, label: str) -> None:
    assert values_or_refusal(label, text)


def values_or_refusal(label: str, text: str) -> tuple[AxisValue, ...] | str:
    try:
        return parse_values(BY_LABEL[label], split_list(text))
    except RequestError as error:
        return str(error)


@pytest.mark.parametrize("label", ["Steps", "CFG Scale"])
@pytest.mark.parametrize("unit", [" ", "9", "(", "1-", "- ", "1,", '"'])
def test_hostile_lists_are_read_in_linear_time(label: str, unit: str) -> None:
    assert_linear(lambda text: values_or_refusal(label, f"1-{text}"), unit)


@pytest.mark.parametrize("text", ["1-9999999999999", "0-1 (+0.0000001)", "1-5 [99999999]"])
def test_lists_of_too_many_values_are_refused(text: str) -> None:
    assert "10000" in str(values_or_refusal("CFG Scale", text)) or "too many" in str(
        values_or_refusal("CFG Scale", text)
    )


@pytest.mark.parametrize(
    ("label", "value", "field", "expected"),
    [
        ("Seed", 7, "seed", 7),
        ("Var. strength", 0.5, "subseed_strength", 0.5),
        ("Eta", 0.3, "eta", 0.3),
        ("Schedule type", "Karras", "scheduler", "Karras"),
        ("Checkpoint name", "b.safetensors", "checkpoint", "b.safetensors"),
        ("Styles", "one,two", "styles", ("one", "two")),
        ("Face restore", "CodeFormer", "restore_faces", True),
        ("Face restore", "no", "restore_faces", False),
        ("Refiner checkpoint", "None", "refiner", None),
    ],
)  # fmt: skip
def test_a_value_changes_its_field(label: str, value: AxisValue, field: str, expected: object) -> None:
    assert getattr(apply_value(BY_LABEL[label], TXT2IMG, value, (value,)), field) == expected


@pytest.mark.parametrize(
    ("label", "value", "key", "expected"),
    [
        ("Clip skip", 2, "CLIP_stop_at_last_layers", 2),
        ("Schedule rho", 5.0, "rho", 5.0),
        ("VAE", "auto", "sd_vae", "Automatic"),
        ("UniPC Order", 30, "uni_pc_order", 19),
        ("SGM noise multiplier", "True", "sgm_noise_multiplier", True),
        ("SGM noise multiplier", "False", "sgm_noise_multiplier", False),
        ("RNG source", "NV", "randn_source", "NV"),
        ("Token merging ratio", 0.5, "token_merging_ratio", 0.5),
    ],
)
def test_a_value_changes_its_setting(label: str, value: AxisValue, key: str, expected: object) -> None:
    changed = apply_value(BY_LABEL[label], TXT2IMG, value, (value,))
    assert changed.override_settings[key] == expected


def test_denoising_is_that_of_the_pass_that_starts_from_a_picture() -> None:
    first = apply_value(BY_LABEL["Denoising"], TXT2IMG, 0.3, (0.3,))
    second = apply_value(BY_LABEL["Denoising"], IMG2IMG, 0.3, (0.3,))
    assert first.hires is not None
    assert second.image_to_image is not None
    assert first.hires.denoising_strength == second.image_to_image.denoising_strength == 0.3


def test_sizes_are_two_numbers_rounded_to_cells() -> None:
    changed = apply_value(BY_LABEL["Size"], TXT2IMG, "100 x 200", ())
    assert (changed.width, changed.height) == (96, 200)


def test_every_axis_can_be_applied_to_either_kind_of_request() -> None:
    samples: dict[str, AxisValue] = {"int": 1, "float": 0.5, "str": "64x64", "none": 0}
    for axis in AXES:
        value = ("cat",) if axis.kind == "permutations" else samples[axis.kind]
        for request in (TXT2IMG, IMG2IMG):
            apply_value(axis, request, "cat" if axis.label == "Prompt S/R" else value, ("cat",))


def test_lists_to_choose_from_are_known() -> None:
    live = {"samplers", "checkpoints", "schedulers", "hires upscalers", "vaes", "styles", "refiners"}
    assert {axis.choices for axis in AXES if axis.choices} == live | set(FIXED_CHOICES)


@pytest.mark.parametrize(
    ("label", "value", "text"),
    [
        ("Nothing", 0, ""),
        ("Steps", 7, "Steps: 7"),
        ("CFG Scale", 7.123456789, "CFG Scale: 7.12345679"),
        ("Sampler", "Euler", "Euler"),
        ("Checkpoint name", "folder/a.safetensors [0123]", "a.safetensors [0123]"),
        ("Prompt order", ("a", "b"), "a, b"),
    ],
)
def test_legends_say_what_a1111s_say(label: str, value: AxisValue, text: str) -> None:
    assert axis_label(BY_LABEL[label], value) == text
