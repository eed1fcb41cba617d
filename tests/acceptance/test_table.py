"""The table of measurements: rows come one at a time, and the page says what it has."""

from dataclasses import replace
from pathlib import Path

from tests.acceptance.table import PAGE, TITLES, Row, add_row, all_tests, page_of, read_rows

ROW = Row(7, "test_07_kills", "passed", "500 of 500", 3.5, 0, "2026-11-21", "0123abc", "Linux")


def test_a_row_takes_the_place_of_its_test_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    assert read_rows(path) == ()
    other = replace(ROW, number=1, test="test_01_routes")
    for row in (replace(ROW, outcome="failed"), other, ROW):
        rows = add_row(row, path)
    assert rows == read_rows(path) == (other, ROW)


def test_the_page_names_what_is_red_and_what_was_not_run() -> None:
    tests = (ROW.test, "test_08_queue", "test_08_picture", "test_09_reading")
    page = page_of([ROW, replace(ROW, number=8, test="test_08_queue", outcome="failed")], tests)
    assert "1 row red; 2 checks not run." in page
    assert "| 7 | kill -9 while saving | holds | 500 of 500 | 3.5 | 2026-11-21 | 0123abc |" in page
    assert "| 8 | The queue survives kills | **RED** |" in page
    assert "| 8 | The queue survives kills | not run |" in page
    assert "| 9 | Nobody reads what is another's | not run |" in page


def test_a_foreign_address_in_any_check_is_red() -> None:
    quiet = replace(ROW, number=24, test="test_24_outside")
    tests = (ROW.test, quiet.test)
    assert "| No outbound traffic | holds | 0 foreign" in page_of([ROW, quiet], tests)
    page = page_of([replace(ROW, foreign=2), quiet], tests)
    assert "| No outbound traffic | **RED** | 2 foreign" in page


def test_the_published_page_is_the_one_that_was_measured() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_of(read_rows(), all_tests())


def test_every_check_of_the_specification_has_a_test() -> None:
    assert {int(name[5:7]) for name in all_tests()} == set(TITLES)
