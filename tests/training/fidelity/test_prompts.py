from modules.conditioning.tokenizer import clip_tokenizer
from modules.training.captions import phrases
from modules.training.compositions import Composition, plan_compositions
from modules.training.concepts import Concept, drawings_of
from modules.training.fidelity.judge import ASPECTS, Labels
from modules.training.fidelity.pictures import RealPictures, drawings_for
from modules.training.fidelity.prompts import (
    HELD_OUT_BACKGROUND,
    HELD_OUT_COLOUR,
    HELD_OUT_STYLE,
    SEEN,
    UNKNOWN_WORDS,
    FidelityPrompt,
    drawings_apart,
    fidelity_prompts,
)
from modules.training.held_out import is_held_out
from modules.training.loop import numpy_generator
from modules.training.vocabulary import CompactVocabulary
from tests.training.drawings import library

CONCEPTS = (Concept("apple", "red apple"), Concept("ghost", "ghost"))


def _trained() -> list[Composition]:
    plans = plan_compositions(CONCEPTS, drawings_of(CONCEPTS, library()), library().pixels, views=12, seed=7)
    return [plan for plan, _ in plans]


def _prompts() -> list[FidelityPrompt]:
    return fidelity_prompts(CONCEPTS, drawings_for(CONCEPTS, library()), _trained())


def _of(group: str) -> list[FidelityPrompt]:
    return [prompt for prompt in _prompts() if prompt.group == group]


def test_seen_prompts_ask_for_what_was_trained() -> None:
    trained = set(_trained())
    assert _of(SEEN)
    assert all(prompt.wanted in trained for prompt in _of(SEEN))


def test_held_out_prompts_ask_for_what_was_never_trained() -> None:
    trained = _trained()
    colours, backgrounds = _of(HELD_OUT_COLOUR), _of(HELD_OUT_BACKGROUND)
    assert colours
    assert backgrounds
    for prompt in colours:
        wanted = prompt.wanted
        assert wanted.colour is not None
        assert is_held_out(wanted.concept, wanted.colour)
        assert not any((item.concept, item.colour) == (wanted.concept, wanted.colour) for item in trained)
    for prompt in backgrounds:
        wanted = prompt.wanted
        pair = (wanted.concept, wanted.background)
        assert not any((item.concept, item.background) == pair for item in trained)


def test_a_prompt_says_what_is_wanted_as_people_say_it() -> None:
    for prompt in _of(HELD_OUT_COLOUR):
        assert prompt.text.split(",")[0].endswith(f"{prompt.wanted.colour} {prompt.wanted.concept}")
        assert ("style" in prompt.text) == (prompt.wanted.style != "cartoon")


def test_every_picture_has_a_seed_of_its_own_that_does_not_change() -> None:
    seeds = [prompt.seed for prompt in _prompts()]
    assert len(set(seeds)) == len(seeds)
    assert _prompts() == _prompts()


def test_the_unknown_words_are_not_in_the_vocabulary() -> None:
    tokenizer = clip_tokenizer()
    vocabulary = CompactVocabulary.of(phrases({concept.name: concept for concept in CONCEPTS}), tokenizer)
    prompt = _of(UNKNOWN_WORDS)[0]
    rows = vocabulary.rows(tokenizer.encode(prompt.text))
    assert rows.count(0) >= 5


def test_drawings_that_were_not_trained_on_are_asked_for_in_their_style_and_in_nothing_else() -> None:
    drawings = drawings_for(CONCEPTS, library())
    trained = [item for item in _trained() if (item.concept, item.style) != ("apple", "3d")]
    assert [drawing.plain.style for drawing in drawings_apart(drawings, trained)] == ["3d"]
    prompts = fidelity_prompts(CONCEPTS, drawings, trained)
    held_out = [prompt for prompt in prompts if prompt.wanted.style == "3d"]
    assert {(prompt.group, prompt.text) for prompt in held_out} == {(HELD_OUT_STYLE, "an apple, 3d style")}
    assert len(held_out) == 4
    assert not _of(HELD_OUT_STYLE)


def test_the_judge_is_taught_without_the_held_out_pairs() -> None:
    drawings = drawings_for(CONCEPTS, library())
    assert {drawing.plain.style for drawing in drawings} == {"cartoon", "flat", "3d", "line art"}
    labels = Labels.of(CONCEPTS)
    real = RealPictures(drawings, labels)
    held, trained = (
        {
            (labels.names["concept"][row[0]], labels.names["background"][row[ASPECTS.index("background")]])
            for row in real.sample(numpy_generator(0, 0), 150, part)[1].tolist()
        }
        for part in ("held out", "trained")
    )
    assert all(not is_held_out(concept, f"{colour} background") for concept, colour in trained)
    assert any(is_held_out(concept, f"{colour} background") for concept, colour in held)
