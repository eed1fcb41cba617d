import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.domain.prompt import BREAK, parse_attention
from tests.domain.timing import assert_linear

UNITS = Path(__file__).parents[1] / "golden" / "units"

EXAMPLES = [
    ("(a)", [("a", 1.1)]),
    ("((a))", [("a", 1.2100000000000002)]),
    ("[a]", [("a", 0.9090909090909091)]),
    ("(a:1.5)", [("a", 1.5)]),
    ("(a:1.5", [("a:1.5", 1.1)]),
    (r"a\(b\)", [("a(b)", 1.0)]),
    ("(a:.5)", [("a", 0.5)]),
    ("(a:-1)", [("a", -1.0)]),
    ("(a:+2)", [("a", 2.0)]),
    ("(a: 1.3 )", [("a", 1.3)]),
    ("[a:1.5]", [("a:1.5", 0.9090909090909091)]),
    ("(a (b:2) c:1.5)", [("a ", 1.5), ("b", 3.0), (" c", 1.5)]),
    ("(x:1.2:1.3)", [("x:1.2", 1.3)]),
    ("()", [("", 1.0)]),
    ("a BREAK b", [("a", 1.0), BREAK, ("b", 1.0)]),
    ("(a BREAK b:1.2)", [("a", 1.2), ("BREAK", -1.2), ("b", 1.2)]),
    ("aBREAKb", [("aBREAKb", 1.0)]),
    ("(a)) b", [("a", 1.1), (") b", 1.0)]),
    ("[(a:1.3)]", [("a", 1.1818181818181819)]),
    (r"\\(a)", [("\\", 1.0), ("a", 1.1)]),
    ("(a,b:1e3)", [("a,b:1e3", 1.1)]),
    ("((a:1.2)", [("a", 1.32)]),
    (
        "x (((tree:1.3)) [by] a (lake:0.5), fog, (((moon)))!",
        [
            ("x ", 1.0),
            ("tree", 1.5730000000000004),
            (" ", 1.1),
            ("by", 1.0),
            (" a ", 1.1),
            ("lake", 0.55),
            (", fog, ", 1.1),
            ("moon", 1.4641000000000006),
            ("!", 1.1),
        ],
    ),
]


@pytest.mark.parametrize(("text", "pieces"), EXAMPLES)
def test_worked_examples_have_the_references_pieces_and_weights(text: str, pieces: list) -> None:
    assert list(parse_attention(text)) == pieces


def test_every_recorded_prompt_is_parsed_as_the_reference_parsed_it() -> None:
    for text, expected in json.loads((UNITS / "parse_prompt_attention.json").read_text()):
        assert [list(piece) for piece in parse_attention(text)] == expected, text


def test_a_number_that_is_none_stays_text_instead_of_failing() -> None:
    assert parse_attention("(a:1.3.1)") == (("a:1.3.1", 1.1),)


def test_round_and_square_brackets_may_overlap() -> None:
    assert parse_attention("(a [b) c]") == (("a ", 1.1), ("b", 1.1 * (1 / 1.1)), (" c", 1 / 1.1))


def test_a_break_without_text_around_it_is_kept_between_empty_pieces() -> None:
    assert parse_attention("BREAK") == (("", 1.0), BREAK, ("", 1.0))


def test_blanks_around_a_break_are_swallowed_with_line_ends() -> None:
    assert parse_attention("a \n BREAK \t b") == (("a", 1.0), BREAK, ("b", 1.0))


def test_deep_nesting_overflows_to_infinity_and_not_to_an_error() -> None:
    assert parse_attention("(" * 20_000 + "a" + ")" * 20_000) == (("a", float("inf")),)


def test_brackets_beyond_the_exact_depth_still_multiply() -> None:
    ((text, weight),) = parse_attention("(" * 50 + "a" + ")" * 50)
    assert text == "a"
    assert weight == pytest.approx(1.1**50, rel=1e-12)


@given(st.text(alphabet="ab ,()[]:\\.12", max_size=60))
def test_any_text_parses_and_neighbours_never_share_a_weight(text: str) -> None:
    pieces = parse_attention(text)
    assert pieces
    assert all(left[1] != right[1] for left, right in itertools.pairwise(pieces))


@given(st.text(alphabet="abc ,.é日", max_size=60))
def test_text_without_brackets_is_one_piece(text: str) -> None:
    assert parse_attention(text) == ((text, 1.0),)


@pytest.mark.parametrize(
    "unit", ["(", "[a", "(a:1.1)[b]", "([)]", ": ", " BREAK", "\\", "(a", ":1.1)", ":   ", "BREAK "]
)
def test_a_hundred_thousand_characters_take_less_than_a_second(unit: str) -> None:
    assert_linear(parse_attention, unit)


def test_a_hundred_thousand_characters_of_nested_pieces_take_less_than_a_second() -> None:
    assert_linear(parse_attention, "(a" * 25_000 + "b)" * 25_000)
