import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.domain.prompt_schedule import prompt_schedule
from tests.domain.timing import assert_linear

UNITS = Path(__file__).parents[1] / "golden" / "units"
ALTERNATING = [(step, "abc"[(step - 1) % 3]) for step in range(1, 11)]
SNOW = [(step, "snowman" if step % 3 == 1 else "man") for step in range(1, 11)]

EXAMPLES = [
    ("a [b:c:0.5] d", [(5, "a b d"), (10, "a c d")], [(8, "a c d")]),
    ("a [b:c:5] d", [(5, "a b d"), (10, "a c d")], [(8, "a c d")]),
    ("[b::0.3]", [(3, "b"), (10, "")], [(8, "")]),
    ("[:b:0.3]", [(3, ""), (10, "b")], [(8, "b")]),
    ("[b:3]", [(3, ""), (10, "b")], [(8, "b")]),
    ("[a:b:1.0]", [(10, "a")], [(8, "b")]),
    ("[a:b:1]", [(1, "a"), (10, "b")], [(8, "b")]),
    ("[a:b:0]", [(10, "b")], [(8, "b")]),
    ("[a:b:0.05]", [(10, "b")], [(8, "b")]),
    ("[a:b:-2]", [(10, "b")], [(8, "b")]),
    ("[a:b:2.5]", [(10, "a")], [(8, "a")]),
    ("k [l:1.5] z", [(10, "k  z")], [(4, "k  z"), (8, "k l z")]),
    ("[a:[b:c:0.8]:0.4]", [(4, "a"), (8, "b"), (10, "c")], [(8, "c")]),
    ("(x [a:b:0.5]:1.2)", [(5, "(x a:1.2)"), (10, "(x b:1.2)")], [(8, "(x b:1.2)")]),
    ("[a|b|c]", ALTERNATING, ALTERNATING[:8]),
    ("[snow||]man", SNOW, SNOW[:8]),
    ("m [n : o : 2] p", [(2, "m n  p"), (10, "m  o  p")], [(8, "m  o  p")]),
    ("t [[[u]]:3]", [(3, "t "), (10, "t [[u]]")], [(8, "t [[u]]")]),
    ("((q][:w:e [r:4]", [(4, "((q][:w:e "), (10, "((q][:w:e r")], [(8, "((q][:w:e r")]),
    ("(a [b:c:0.5] d", [(5, "(a b d"), (10, "(a c d")], [(8, "(a c d")]),
    ("[[a:b:0.5]]", [(5, "[a]"), (10, "[b]")], [(8, "[b]")]),
    ("[a:b : .5 ]", [(5, "a"), (10, "b ")], [(8, "b ")]),
    ("[http://x:1]", [(1, "http"), (10, "//x")], [(8, "//x")]),
]

LITERAL = [
    "[a|b:1.3]",
    "[a:b:0.5:c]",
    "a [b",
    r"\[a:b:0.5\]",
    "[(a:b:0.5]",
    "[a:b:0.5",
    r"[a:b:\:c:0.5]",
    "[a|b] | c",
    "a | b",
    "[a|b] \\",
    "[a|b] \\\n",
    "[a|b] (c|d)",
    "[a|b] ([c|d)",
    "[a|b] [c|d",
]


@pytest.mark.parametrize(("text", "first_pass", "hires_pass"), EXAMPLES)
def test_worked_examples_have_the_references_schedules(text: str, first_pass: list, hires_pass: list) -> None:
    assert list(prompt_schedule(text, 10)) == first_pass
    assert list(prompt_schedule(text, 10, 8)) == hires_pass


@pytest.mark.parametrize("text", LITERAL)
def test_text_that_is_no_construct_stays_as_it_is(text: str) -> None:
    assert prompt_schedule(text, 10) == ((10, text),)


def test_every_recorded_schedule_is_as_the_reference_made_it() -> None:
    for case in json.loads((UNITS / "prompt_schedules.json").read_text()):
        schedule = prompt_schedule(
            case["prompt"], case["steps"], case["hires_steps"], case["use_old_scheduling"]
        )
        assert [list(entry) for entry in schedule] == case["schedule"], case


def test_old_scheduling_takes_numbers_from_one_as_steps() -> None:
    assert prompt_schedule("[a:b:2.5]", 10, use_old=True) == ((2, "a"), (10, "b"))


def test_alternation_inside_brackets_keeps_the_brackets() -> None:
    schedule = prompt_schedule("[(a:1.2)|[b]]", 3)
    assert schedule == ((1, "(a:1.2)"), (2, "[b]"), (3, "(a:1.2)"))


def test_a_broken_outer_bracket_does_not_stop_an_inner_construct() -> None:
    assert prompt_schedule("[[a:b:3]:c:d:4]", 4) == ((3, "[a:c:d:4]"), (4, "[b:c:d:4]"))


def test_numbers_beyond_all_steps_never_switch_and_never_fail() -> None:
    assert prompt_schedule("[a:b:1e999]", 10) == ((10, "a"),)
    assert prompt_schedule(f"[a:b:-{'9' * 400}.0]", 10) == ((10, "b"),)


@given(st.text(alphabet="ab []():|\\.05\n", max_size=40), st.integers(1, 30))
def test_schedules_of_any_text_end_at_the_last_step_in_rising_order(text: str, steps: int) -> None:
    ends = [end for end, _ in prompt_schedule(text, steps)]
    assert ends == sorted(set(ends))
    assert ends[-1] == steps


@given(st.text(alphabet="ab ,.()", max_size=40))
def test_text_without_square_brackets_is_never_changed(text: str) -> None:
    assert prompt_schedule(text, 7) == ((7, text),)


@pytest.mark.parametrize(
    "unit", ["[", "(", "[a:", "[a:b:0.5]", "[a|b]", "([)]", "a|", "\\", ":0.5]", "[[a:b:3]:2]", "[|"]
)
def test_a_hundred_thousand_characters_take_less_than_a_second(unit: str) -> None:
    assert_linear(lambda text: prompt_schedule(text, 20), unit)


@pytest.mark.parametrize(("start", "end"), [("[", "a|b]"), ("[a:", "b:3]"), ("(", ")")])
def test_constructs_nested_thousands_deep_take_less_than_a_second(start: str, end: str) -> None:
    depth = 100_000 // len(start + end)
    assert_linear(lambda text: prompt_schedule(text, 20), start * depth + end * depth)
