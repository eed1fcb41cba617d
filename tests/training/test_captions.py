import numpy as np
import pytest

from modules.conditioning.tokenizer import clip_tokenizer
from modules.training.captions import NOISE_WORDS, caption, phrases
from modules.training.compositions import Composition, Thing
from modules.training.concepts import Concept
from modules.training.palette import COLOURS
from modules.training.vocabulary import CompactVocabulary

_APPLE = Concept("apple", "red apple")
_GRAPES = Concept("grapes", "grapes")
_BOAT = Concept("sailboat", "sailboat", ("boat", "sailing boat"))


def _many(composition: Composition, concept: Concept, count: int = 300) -> list[str]:
    rng = np.random.default_rng(0)
    return [caption(composition, {composition.concept: concept}, rng) for _ in range(count)]


def _colours_named(text: str) -> set[str]:
    without_light_blue = text.replace("light blue", "light-blue")
    words = set(without_light_blue.replace(",", " ").split())
    return {name for name in COLOURS if name.replace(" ", "-") in words}


def test_every_caption_names_the_concept_or_a_synonym() -> None:
    for text in _many(Composition("sailboat", "flat", 0), _BOAT):
        assert "boat" in text


def test_only_colours_that_the_picture_has_are_named() -> None:
    composition = Composition("apple", "flat", 0, background="blue", colour="yellow", own_colour="red")
    for text in _many(composition, _APPLE):
        assert _colours_named(text) == {"blue", "yellow"}


def test_a_background_that_is_not_white_is_always_named() -> None:
    for text in _many(Composition("apple", "cartoon", 0, background="light blue"), _APPLE):
        assert "light blue background" in text


@pytest.mark.parametrize("style", ["flat", "3d", "line art"])
def test_a_style_other_than_the_default_is_always_named(style: str) -> None:
    assert all(style in text for text in _many(Composition("apple", style, 0), _APPLE))


def test_the_default_style_is_often_left_out() -> None:
    named = [("cartoon" in text) for text in _many(Composition("apple", "cartoon", 0), _APPLE)]
    assert 0.15 < np.mean(named) < 0.5


def test_a_changed_colour_is_always_named_and_the_own_colour_never() -> None:
    composition = Composition("apple", "cartoon", 0, colour="blue", own_colour="red")
    for text in _many(composition, _APPLE):
        assert "blue apple" in text
        assert "red" not in text.split()


def test_own_colour_is_not_said_twice() -> None:
    texts = _many(Composition("fire", "cartoon", 0, own_colour="red"), Concept("red fire", "fire"))
    assert not any("red red" in text for text in texts)


def test_small_drawings_are_called_small() -> None:
    assert all("small" in text for text in _many(Composition("apple", "flat", 0, size="small"), _APPLE))


def test_plurals_take_no_article() -> None:
    assert not any("a grapes" in text for text in _many(Composition("grapes", "flat", 0), _GRAPES))


def test_empty_words_that_artists_write_occur() -> None:
    texts = " ".join(_many(Composition("apple", "flat", 0), _APPLE))
    assert all(words in texts for words in NOISE_WORDS)


def test_the_vocabulary_of_the_phrases_covers_every_caption() -> None:
    tokenizer = clip_tokenizer()
    vocabulary = CompactVocabulary.of(phrases({"apple": _APPLE, "sailboat": _BOAT}), tokenizer)
    for colour in COLOURS:
        for style in ("cartoon", "flat", "3d", "line art"):
            composition = Composition("sailboat", style, 0, background=colour, colour="red", size="small")
            for text in _many(composition, _BOAT, 5):
                assert 0 not in vocabulary.rows(tokenizer.encode(text)), text


def _of_two(second: Concept = _BOAT) -> list[str]:
    plan = Composition("apple", "cartoon", 0, own_colour="red", second=Thing(second.name, 1))
    rng = np.random.default_rng(0)
    return [caption(plan, {"apple": _APPLE, second.name: second}, rng) for _ in range(300)]


def test_captions_of_two_things_name_both_and_no_colour_of_either() -> None:
    for text in _of_two():
        assert "an apple" in text
        assert "boat" in text
        assert _colours_named(text) <= {"white"}
    assert any("a sailboat and an apple" in text for text in _of_two())
    assert any("an apple and a sailboat" in text for text in _of_two())
    assert all(" a grapes" not in text for text in _of_two(_GRAPES))


def test_what_is_said_about_left_and_right_is_true() -> None:
    said = [text for text in _of_two(_GRAPES) if "left" in text or "right" in text]
    assert 50 < len(said) < 130
    true = (
        "an apple on the left",
        "grapes on the right",
        "an apple to the left of",
        "grapes to the right of",
    )
    for text in said:
        assert any(part in text for part in true), text
        assert not any(
            part in text for part in ("grapes on the left", "apple on the right", "grapes to the left")
        )


def test_words_for_two_things_are_in_the_vocabulary_only_if_there_are_some() -> None:
    tokenizer = clip_tokenizer()
    concepts = {"apple": _APPLE, "sailboat": _BOAT}
    with_two, without = (CompactVocabulary.of(phrases(concepts, two=two), tokenizer) for two in (True, False))
    rows = [with_two.rows(tokenizer.encode(text)) for text in _of_two()]
    assert not any(0 in row for row in rows)
    assert 0 in without.rows(tokenizer.encode("an apple and a boat"))
