"""A reader of galleries, sd-parsers, finds in our files what was written into them."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager
from sd_parsers.data import Generators, PromptInfo

from modules.domain.infotext import format_infotext
from modules.imaging.metadata import encode_image

KEPT: list[Image.Image] = []  # the reader remembers the last picture by its address in memory
FORMATS = ("png", "jpeg", "webp")
PARAMETERS = {
    "Steps": 20, "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": 7.0, "Seed": 2**32 + 1,
    "Size": "512x768", "Model hash": "6ce0161689", "Model": "v1-5 pruned", "Clip skip": 2,
    "Lora hashes": "foo: 0123456789ab", "Version": "v1.10.1",
}  # fmt: skip


def parsed(format: str, prompt: str, negative: str) -> PromptInfo:
    text = format_infotext(prompt, negative, PARAMETERS)
    content = encode_image(Image.new("RGB", (8, 8)), format, text)
    image = Image.open(io.BytesIO(content))
    KEPT.append(image)
    found = ParserManager().parse(image)
    assert found is not None
    return found


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("a cat, (best:1.2) <lora:foo:0.8>", "blurry"),
        ("猫 🐈\nin two lines", "ü"),
        ("only a prompt", ""),
        ("", ""),
    ],
)
def test_it_finds_prompt_sampler_seed_and_model(format: str, prompt: str, negative: str) -> None:
    info = parsed(format, prompt, negative)
    (sampler,) = info.samplers
    assert info.generator is Generators.AUTOMATIC1111
    assert [each.value for each in sampler.prompts] == [prompt][: bool(prompt)]
    assert [each.value for each in sampler.negative_prompts] == [negative][: bool(negative)]
    assert sampler.name == "DPM++ 2M"
    assert sampler.parameters["seed"] == str(2**32 + 1)
    assert (sampler.parameters["scheduler"], sampler.parameters["steps"]) == ("Karras", "20")
    assert sampler.model is not None
    assert (sampler.model.name, sampler.model.hash) == ("v1-5 pruned", "6ce0161689")


@settings(max_examples=25)
@given(st.sampled_from(FORMATS), st.text("abcßあ🐈(),.[]|_ ", min_size=1).map(str.strip).filter(bool))
def test_it_finds_any_prompt(format: str, prompt: str) -> None:
    (sampler,) = parsed(format, prompt, "dog").samplers
    assert [each.value for each in sampler.prompts] == [prompt]
