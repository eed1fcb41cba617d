"""The table of measurements: rows come one at a time, and the page says what it has."""

from dataclasses import replace
from pathlib import Path

from tests.acceptance.table import PAGE, TITLES, Row, add_row, page_of, read_rows

ROW = Row(7, "test_07_kills", "passed", "500 of 500", 3.5, 0, "2026-11-21", "0123abc", "Linux")


def test_a_row_takes_the_place_of_its_test_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    assert read_rows(path) == ()
    other = replace(ROW, number=1, test="test_01_routes")
    for row in (replace(ROW, outcome="failed"), other, ROW):
        rows = add_row(row, path)
    assert rows == read_rows(path) == (other, ROW)


def test_the_page_names_what_is_red_and_what_was_not_run() -> None:
    page = page_of([ROW, replace(ROW, number=8, test="test_08", outcome="failed")])
    assert f"1 row red; {len(TITLES) - 2} checks not run." in page
    assert "| 7 | kill -9 while saving | holds | 500 of 500 | 3.5 | 2026-11-21 | 0123abc |" in page
    assert "| 8 | The queue survives kills | **RED** |" in page
    assert "| 9 | Nobody reads what is another's | not run |" in page


def test_a_foreign_address_in_any_check_is_red() -> None:
    quiet = replace(ROW, number=24, test="test_24_outside")
    assert "| No outbound traffic | holds | 0 foreign" in page_of([ROW, quiet])
    page = page_of([replace(ROW, foreign=2), quiet])
    assert "| No outbound traffic | **RED** | 2 foreign" in page


def test_the_published_page_is_the_one_that_was_measured() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_of(read_rows())
