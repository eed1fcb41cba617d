import numpy as np
import pytest

from modules.conditioning.tokenizer import clip_tokenizer
from modules.training.captions import NOISE_WORDS, caption, phrases
from modules.training.compositions import Composition
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
