import json
from pathlib import Path

import pytest

from modules.domain.composition import split_composition
from tests.domain.timing import assert_linear

UNITS = Path(__file__).parents[1] / "golden" / "units"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a :1.2 AND b:0.5", [("a", 1.2), (" b", 0.5)]),
        ("a AND", [("a", 1.0), ("", 1.0)]),
        ("cat :-1 AND dog", [("cat", -1.0), (" dog", 1.0)]),
        ("(a:1.2) AND b", [("(a:1.2)", 1.0), (" b", 1.0)]),
        ("a:b:2", [("a:b", 2.0)]),
        ("a BAND b", [("a BAND b", 1.0)]),
        ("a and b", [("a and b", 1.0)]),
        ("a :.5 ", [("a", 0.5)]),
        ("a:1.", [("a", 1.0)]),
        ("a:1e3", [("a:1e3", 1.0)]),
        (":2", [("", 2.0)]),
        ("", [("", 1.0)]),
    ],
)
def test_parts_carry_the_references_texts_and_weights(text: str, parts: list) -> None:
    assert list(split_composition(text)) == parts


def test_every_recorded_prompt_is_split_as_the_reference_split_it() -> None:
    for text, expected in json.loads((UNITS / "multicond.json").read_text()):
        assert [list(part) for part in split_composition(text)] == expected, text


@pytest.mark.parametrize("unit", ["AND ", ": ", " ", "1", ":1 AND "])
def test_a_hundred_thousand_characters_take_less_than_a_second(unit: str) -> None:
    assert_linear(split_composition, unit)
