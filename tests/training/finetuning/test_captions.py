import numpy as np
import pytest

from modules.training.finetuning.captions import caption_of, filled, first_caption
from modules.training.finetuning.recipe import DataChoice


def _drawn(words: str, name: str, count: int = 60, **choice: object) -> list[str]:
    chosen = DataChoice.model_validate({"folder": "x", "caption_dropout": 0, **choice})
    return [caption_of(words, name, chosen, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize(
    ("words", "name", "caption"),
    [
        ("a red hat", "zorblax", "zorblax, a red hat"),
        ("Zorblax with a hat", "zorblax", "Zorblax with a hat"),
        ("a pink house", "ink", "ink, a pink house"),
        ("ink (blue)", "ink (blue)", "ink (blue)"),
        ("", "zorblax", "zorblax"),
        ("a red hat", "", "a red hat"),
    ],
)
def test_the_trigger_word_goes_before_a_caption_that_lacks_it(words: str, name: str, caption: str) -> None:
    assert first_caption(words, name) == caption
    assert set(_drawn(words, name)) == {caption}


def test_templates_take_turns_and_leave_no_empty_places() -> None:
    templates = ("a photo of [name], [filewords]", "art by [name]")
    assert set(_drawn("", "x", templates=templates)) == {"a photo of x", "art by x"}
    assert filled("[name], [filewords], sharp", "x", "") == "x, sharp"


def test_shuffling_keeps_the_first_tags_and_loses_none() -> None:
    drawn = _drawn("x, a, b, c", "x", shuffle_tags=True, keep_tags=1)
    assert {text.split(", ")[0] for text in drawn} == {"x"}
    assert all(sorted(text.split(", ")) == ["a", "b", "c", "x"] for text in drawn)
    assert len(set(drawn)) == 6


def test_tags_drop_out_one_by_one_but_for_the_first() -> None:
    drawn = _drawn("x, a, b, c", "x", 300, tag_dropout=0.5, keep_tags=1, shuffle_tags=True)
    assert {text.split(", ")[0] for text in drawn} == {"x"}
    share = sum(text.count(",") for text in drawn) / (3 * len(drawn))
    assert 0.4 < share < 0.6


def test_templates_may_be_named() -> None:
    assert DataChoice(folder="x", templates="style").templates[1] == "art by [name]"
    with pytest.raises(ValueError, match="there are no templates 'gone'"):
        DataChoice(folder="x", templates="gone")


def test_dropout_leaves_its_share_of_captions_empty() -> None:
    empty = _drawn("words", "x", 400, caption_dropout=0.25).count("")
    assert 60 < empty < 140
