import json
from pathlib import Path

import pytest

from modules.domain.extra_networks import ExtraNetwork, extract_extra_networks
from tests.domain.timing import assert_linear

UNITS = Path(__file__).parents[1] / "golden" / "units"


def test_every_recorded_prompt_gives_the_references_tags_and_text() -> None:
    for text, clean, networks in json.loads((UNITS / "extra_networks.json").read_text()):
        found: dict[str, list] = {}
        rest, tags = extract_extra_networks(text)
        for tag in tags:
            found.setdefault(tag.name, []).append([list(tag.positional), tag.named])
        assert (rest, found) == (clean, networks), text


def test_an_argument_with_two_equals_signs_is_positional() -> None:
    assert extract_extra_networks("<lora:a:b=c=d>")[1] == (ExtraNetwork("lora", ("a", "b=c=d")),)


def test_a_tag_without_arguments_stays_in_the_text() -> None:
    assert extract_extra_networks("x <lora:> y <a b:c> <lora:z>") == (
        "x <lora:> y <a b:c> ",
        (ExtraNetwork("lora", ("z",)),),
    )


def test_a_tag_reaches_to_the_first_closing_bracket_over_other_opening_ones() -> None:
    assert extract_extra_networks("<lora:a <lora:b:1> c")[1] == (ExtraNetwork("lora", ("a <lora", "b", "1")),)


def test_the_item_is_the_name_of_the_networks_file() -> None:
    assert extract_extra_networks("<lora:my file:0.5>")[1][0].item == "my file"
    assert ExtraNetwork("lora").item == ""


@pytest.mark.parametrize("unit", ["<a:", "<lora:x:1>", "<", "<a:>", "a", "<a"])
def test_a_hundred_thousand_characters_take_less_than_a_second(unit: str) -> None:
    assert_linear(extract_extra_networks, unit)
