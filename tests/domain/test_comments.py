import pytest

from modules.domain.comments import strip_comments
from tests.domain.timing import assert_linear


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", "a cat"),
        ("a # red\ncat", "a \ncat"),
        ("# note\na cat", "\na cat"),
        ("a\n# note\ncat", "a\ncat"),
        ("a\n# one\n# two\ncat", "a\n\ncat"),
        ("a cat # end", "a cat \n"),
        ("#", "\n"),
        ("a\n#", "a\n"),
        (r"a \# b", "a \\\n"),
    ],
)
def test_comments_leave_one_line_break(text: str, expected: str) -> None:
    assert strip_comments(text) == expected


@pytest.mark.parametrize("unit", ["#", "#\n", "\n", "a#\n"])
def test_a_hundred_thousand_characters_take_less_than_a_second(unit: str) -> None:
    assert_linear(strip_comments, unit)
