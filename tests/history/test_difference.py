import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.domain.infotext import split_infotext
from modules.history.difference import carry_over, compare, word_changes
from tests.domain.timing import assert_linear
from tests.history.made import infotext_of

TEXTS = st.text(alphabet="abc ,.红\n(:1", max_size=16)


def runs(first: str, second: str) -> list[tuple[str, str]]:
    return [(change.kind, change.text) for change in word_changes(first, second)]


def test_a_changed_word_stands_between_those_that_stay() -> None:
    assert runs("a red apple, on a table", "a green apple, on a table, rim light") == [
        ("same", "a "),
        ("removed", "red "),
        ("added", "green "),
        ("same", "apple, on a table"),
        ("added", ", rim light"),
    ]


def test_each_sign_of_chinese_is_a_word() -> None:
    assert runs("红苹果", "绿苹果") == [("removed", "红"), ("added", "绿"), ("same", "苹果")]


def test_weights_are_whole_words() -> None:
    assert runs("(apple:1.2)", "(apple:1.3)") == [
        ("same", "(apple:"),
        ("removed", "1.2"),
        ("added", "1.3"),
        ("same", ")"),
    ]


def test_all_parameters_are_listed_and_the_changed_ones_known() -> None:
    first = split_infotext(infotext_of("a", CFG_scale=7, Clip_skip=2))
    second = split_infotext(infotext_of("a", CFG_scale=5.5, Refiner="x"))
    changed = {
        pair.name: (pair.first, pair.second) for pair in compare(first, second).parameters if pair.is_change
    }
    assert changed == {"CFG scale": ("7", "5.5"), "Clip skip": ("2", None), "Refiner": (None, "x")}


@pytest.mark.parametrize(
    ("first", "second", "text", "changed"),
    [
        ("a red apple", "a green apple", "photo of a red apple in snow", "photo of a green apple in snow"),
        ("an apple", "an apple, rim light", "a castle, fog", "a castle, fog, rim light"),
        ("apple, blurry, table", "apple, table", "one apple, blurry, table", "one apple, table"),
        ("apple", "apple", "a castle", "a castle"),
        ("", "fog", "a castle", "a castle, fog"),
        ("a", "b", "", "b"),
        ("红苹果", "绿苹果", "一个红苹果", "一个绿苹果"),
    ],
)
def test_a_change_is_made_in_another_text(first: str, second: str, text: str, changed: str) -> None:
    assert carry_over(first, second, text) == changed


@given(TEXTS, TEXTS)
def test_the_change_made_in_the_first_text_gives_the_second(first: str, second: str) -> None:
    assert carry_over(first, second, first) == second


@given(TEXTS, TEXTS)
def test_no_change_changes_nothing(first: str, text: str) -> None:
    assert carry_over(first, first, text) == text


@given(TEXTS, TEXTS)
def test_all_but_the_removed_runs_are_the_second_text(first: str, second: str) -> None:
    assert "".join(text for kind, text in runs(first, second) if kind != "removed") == second


@pytest.mark.parametrize("unit", ["a", "a ", ", ", "红", "a b, "])
def test_texts_without_end_are_compared_in_linear_time(unit: str) -> None:
    assert_linear(lambda text: word_changes("x " + text, "y " + text[:-2] + " z"), unit)
