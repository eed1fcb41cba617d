from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.history.query import MAX_TERMS, Flag, Match, Number, Period, Query, Term, Words, parse_query
from tests.domain.timing import assert_linear


def conditions(text: str) -> list[object]:
    return [term.condition for term in parse_query(text).terms]


def day(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).astimezone().timestamp()


def test_words_phrases_and_what_must_not_be_there() -> None:
    assert parse_query('red  "rim light" -blurry -"bad hands"').terms == (
        Term(Words("red")),
        Term(Words("rim light", is_phrase=True)),
        Term(Words("blurry"), negated=True),
        Term(Words("bad hands", is_phrase=True), negated=True),
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("seed:123", Match("seed", "123")),
        ('model:"dream shaper"', Match("model", "dream shaper")),
        ("CHECKPOINT:x", Match("model", "x")),
        ("lora:style", Match("lora", "style")),
        ("tag=best", Match("tag", "best")),
        ("size:512x768", Match("size", "512x768")),
        ("cfg>6", Number("cfg_scale", ">", 6)),
        ("cfg:>=6.5", Number("cfg_scale", ">=", 6.5)),
        ("steps<=20", Number("steps", "<=", 20)),
        ("width:512", Number("width", "=", 512)),
        ("is:starred", Flag.STARRED),
        ("star", Flag.STARRED),
        ("neg:hands", Words("hands", is_phrase=True, column="negative")),
    ],
)
def test_a_key_makes_a_condition(text: str, meant: object) -> None:
    assert conditions(text) == [meant]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("date:2026-11-01", "2026-11-01", "2026-11-02"),
        ("date:2026-12", "2026-12-01", "2027-01-01"),
        ("date:2026", "2026-01-01", "2027-01-01"),
        ("before:2026-11-01", None, "2026-11-01"),
        ("after:2026-11", "2026-11-01", None),
        ("date<=2026-11", None, "2026-12-01"),
        ("date>2026-11-30", "2026-12-01", None),
    ],
)
def test_dates_are_days_of_this_machines_clock(text: str, start: str | None, end: str | None) -> None:
    assert conditions(text) == [Period(day(start), day(end))]


def test_today_is_the_day_before_tomorrow() -> None:
    today, yesterday = conditions("date:today date:yesterday")
    assert isinstance(today, Period)
    assert isinstance(yesterday, Period)
    assert yesterday.end == today.start
    assert today.start <= datetime.now().astimezone().timestamp() < today.end  # type: ignore[operator]


@pytest.mark.parametrize(
    "text", ["foo:bar", "cfg>abc", "date:2026-02-31", "is:great", "cfg>", "seed:", "model>x", "steps:nan"]
)
def test_what_is_no_condition_is_a_word(text: str) -> None:
    assert conditions(text) == [Words(text)]


@pytest.mark.parametrize("text", ["", "  ", '"', "-", "- -", '""', "...", "-,"])
def test_what_holds_no_word_finds_everything(text: str) -> None:
    assert parse_query(text) == Query()


def test_star_among_other_words_is_a_word() -> None:
    assert conditions("star wars") == [Words("star"), Words("wars")]
    assert conditions('"star"') == [Words("star", is_phrase=True)]


@given(st.text(max_size=200))
def test_no_text_is_wrong(text: str) -> None:
    assert len(parse_query(text).terms) <= MAX_TERMS


@given(st.text(alphabet='ab:-"<>= 1', max_size=60))
def test_no_mixture_of_signs_is_wrong(text: str) -> None:
    parse_query(text)


@pytest.mark.parametrize("unit", ["a", "-", '"', "a:", ">", "cfg>", 'a:"', "é"])
def test_reading_takes_linear_time(unit: str) -> None:
    assert_linear(parse_query, unit)
