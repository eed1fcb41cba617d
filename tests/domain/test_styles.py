from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modules.domain.styles import Style, StyleCatalog, apply_style, extract_style
from modules.exceptions import StorageError
from modules.imaging.files import write_replacing

GOLDEN = Path(__file__).parents[1] / "golden" / "styles.csv"


@pytest.fixture
def catalog(tmp_path: Path) -> StyleCatalog:
    path = tmp_path / "styles.csv"
    path.write_bytes(GOLDEN.read_bytes())
    return StyleCatalog([path], write_replacing)


def test_a_style_with_a_placeholder_wraps_the_prompt_and_others_are_appended(catalog: StyleCatalog) -> None:
    assert catalog.apply("a cat", "ugly", ["watercolor", "append"]) == (
        "watercolor of a cat, soft, masterpiece, best quality",
        "photo, ugly sharp, lowres, bad anatomy",
    )


def test_unknown_styles_and_empty_prompts_change_nothing(catalog: StyleCatalog) -> None:
    assert catalog.apply("a cat", "", ["missing"]) == ("a cat", "")
    assert apply_style("", "a cat ") == "a cat"
    assert apply_style("x", " ") == "x"


def test_extracting_gives_back_what_was_applied_in_order(catalog: StyleCatalog) -> None:
    applied = catalog.apply("a cat", "ugly", ["watercolor", "append"])
    assert catalog.extract(*applied) == (("watercolor", "append"), "a cat", "ugly")


def test_a_style_matches_only_if_both_prompts_have_it(catalog: StyleCatalog) -> None:
    assert catalog.extract("x, masterpiece, best quality", "y") == ((), "x, masterpiece, best quality", "y")


def test_a_placeholder_may_occur_twice() -> None:
    style = "{prompt} and {prompt}!"
    assert extract_style(style, apply_style(style, "cat")) == "cat"
    assert extract_style(style, "cat and dog!") is None
    assert extract_style("ab{prompt}bc", "abc") is None


def test_saving_keeps_the_old_file_as_a_copy_and_survives_a_reload(catalog: StyleCatalog) -> None:
    old = catalog.default_path.read_bytes()
    catalog.save(Style("mine", 'quoted "x", y', "bad\nline"))
    assert catalog.default_path.with_name("styles.csv.bak").read_bytes() == old
    assert catalog.default_path.read_bytes().startswith(b"\xef\xbb\xbfname,prompt,negative_prompt")
    catalog.reload()
    assert catalog.find("mine") == Style("mine", 'quoted "x", y', "bad\nline", catalog.default_path)
    assert list(catalog.styles) == ["watercolor", "append", "mine"]


def test_deleting_removes_only_that_style(catalog: StyleCatalog) -> None:
    catalog.delete("watercolor")
    catalog.delete("missing")
    catalog.reload()
    assert list(catalog.styles) == ["append"]


def test_commented_rows_are_no_styles_and_are_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    path.write_text("name,prompt,negative_prompt\n#old,x,y\nnew,a,b\n", encoding="utf-8")
    catalog = StyleCatalog([path], write_replacing)
    catalog.save(Style("other", "c"))
    assert list(catalog.styles) == ["new", "other"]
    assert "#old,x,y" in path.read_text(encoding="utf-8-sig")


def test_the_legacy_column_text_is_read_as_the_prompt(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    path.write_text("name,text\nold, masterpiece\n", encoding="utf-8")
    assert StyleCatalog([path], write_replacing).find("old") == Style("old", "masterpiece", "", path)


def test_several_files_are_listed_under_dividers_that_cannot_be_applied(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"name,prompt,negative_prompt\n{name}1,x,\n", encoding="utf-8")
    catalog = StyleCatalog([tmp_path / "*.csv"], write_replacing)
    assert list(catalog.styles) == [" A ".center(40, "-"), "a1", " B ".center(40, "-"), "b1"]
    assert catalog.default_path == tmp_path / "a.csv"
    assert catalog.extract("p", "n") == ((), "p", "n")


def test_a_wildcard_without_a_match_puts_new_styles_into_styles_csv(tmp_path: Path) -> None:
    assert StyleCatalog([tmp_path / "*.csv"], write_replacing).default_path == tmp_path / "styles.csv"


def test_a_folder_that_cannot_be_written_is_reported_with_its_name(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StorageError, match=r"styles\.csv") as caught:
        StyleCatalog([blocked / "styles.csv"], write_replacing).save(Style("x"))
    assert str(tmp_path) not in str(caught.value)


def test_styles_saved_by_several_threads_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    catalog = StyleCatalog([path], write_replacing)
    names = [f"style {number}" for number in range(60)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda name: catalog.save(Style(name, "x")), names))
    catalog.reload()
    assert sorted(catalog.styles) == sorted(names)
    assert {file.name for file in tmp_path.iterdir()} == {"styles.csv", "styles.csv.bak"}
