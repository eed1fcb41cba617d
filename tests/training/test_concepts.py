from pathlib import Path

import pytest

from modules.exceptions import TrainingError
from modules.training.concepts import Concept, drawings_of, load_concepts
from tests.training.drawings import library

ROOT = Path(__file__).parents[2]


def test_a_line_gives_name_label_and_synonyms(tmp_path: Path) -> None:
    path = tmp_path / "concepts.txt"
    path.write_text("# comment\ncar | automobile | auto, motor car\nfox | |\n", encoding="utf-8")
    assert load_concepts(path) == (
        Concept("car", "automobile", ("auto", "motor car")),
        Concept("fox", "fox"),
    )


def test_a_line_without_three_fields_is_named(tmp_path: Path) -> None:
    path = tmp_path / "concepts.txt"
    path.write_text("fox | |\nowl\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"concepts\.txt, line 2"):
        load_concepts(path)


def test_a_missing_list_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        load_concepts(tmp_path / "none.txt")


def test_drawings_are_found_by_label_and_style() -> None:
    found = drawings_of((Concept("apple", "red apple"),), library())
    assert found == {
        ("apple", "cartoon"): 0,
        ("apple", "flat"): 1,
        ("apple", "3d"): 2,
        ("apple", "line art"): 3,
    }


def test_a_concept_that_nobody_drew_is_reported() -> None:
    with pytest.raises(TrainingError, match="zebra"):
        drawings_of((Concept("zebra", "zebra"),), library())


@pytest.mark.parametrize(
    ("name", "plural"), [("grapes", True), ("bus", False), ("cactus", False), ("apple", False)]
)
def test_plurals_are_recognised(name: str, plural: bool) -> None:
    assert Concept(name, name).is_plural is plural


def test_the_shipped_list_has_no_name_twice() -> None:
    concepts = load_concepts(ROOT / "configs" / "embedded-concepts.txt")
    names = [name for concept in concepts for name in (concept.name, *concept.synonyms)]
    assert len(names) == len(set(names))
