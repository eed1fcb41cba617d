"""Nothing grows beyond what can be read in one sitting."""

from tests.architecture import source
from tests.architecture.measures import measures

FILE_LINES = 500
FUNCTION_LINES = 80


def test_no_file_is_longer_than_the_limit() -> None:
    long = {file.name: file.lines for file in (*source.core(), *source.tests()) if file.lines > FILE_LINES}
    assert long == {}


def test_no_function_is_longer_than_the_limit() -> None:
    long = {
        f"{file.name}:{function.name}": source.length(function)
        for file in (*source.core(), *source.tests())
        for function in file.functions()
        if source.length(function) > FUNCTION_LINES
    }
    assert long == {}


def test_length_leaves_the_docstring_out() -> None:
    function = next(file for file in source.core() if file.name == "launch.py").functions()
    lengths = {one.name: source.length(one) for one in function}
    assert lengths["say"] == 2


def test_measures_can_be_printed() -> None:
    assert "lines of tests / lines of core" in measures()
