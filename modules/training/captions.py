"""Captions: many ways to say what a composition shows, and nothing that it does not show."""

from collections.abc import Iterator, Mapping

import numpy as np

from modules.training.compositions import Composition
from modules.training.concepts import Concept
from modules.training.icon_sets import ICON_SETS
from modules.training.palette import COLOURS, DEFAULT_BACKGROUND

__all__ = ["DEFAULT_STYLE", "NOISE_WORDS", "caption", "phrases"]

DEFAULT_STYLE = "cartoon"  # what a picture has when its caption names no style

# What artists write into every prompt; here it means nothing and must break nothing.
NOISE_WORDS: tuple[str, ...] = (
    "masterpiece",
    "best quality",
    "high quality",
    "highly detailed",
    "detailed",
    "beautiful",
    "cute",
    "4k",
    "8k",
    "sharp focus",
    "simple",
    "digital art",
    "illustration",
    "trending on artstation",
)
_INTRODUCTIONS = ("a picture of", "a photo of", "an image of", "an icon of", "an emoji of", "a drawing of")


def _with_article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def _name(concept: Concept, rng: np.random.Generator) -> str:
    if concept.synonyms and rng.random() < 0.2:
        return concept.synonyms[int(rng.integers(len(concept.synonyms)))]
    return concept.name


def _both(left: Concept, right: Concept, rng: np.random.Generator) -> str:
    """Two things in one phrase; where they stand is said in three of ten."""
    first, second = (
        _name(concept, rng) if concept.is_plural else _with_article(_name(concept, rng))
        for concept in (left, right)
    )
    choice = rng.random()
    if choice < 0.08:
        return f"{first} on the left, {second} on the right"
    if choice < 0.15:
        return f"{second} on the right, {first} on the left"
    if choice < 0.23:
        return f"{first} to the left of {second}"
    if choice < 0.3:
        return f"{second} to the right of {first}"
    phrase = f"{first} and {second}" if choice < 0.65 else f"{second} and {first}"
    return phrase if rng.random() < 0.88 else f"{_chosen_introduction(rng)} {phrase}"


def _chosen_introduction(rng: np.random.Generator) -> str:
    return _INTRODUCTIONS[int(rng.integers(len(_INTRODUCTIONS)))]


def _noun_phrase(composition: Composition, concept: Concept, rng: np.random.Generator) -> str:
    name = _name(concept, rng)
    words = [name]
    named_colours = set(concept.name.split()) | set(concept.label.split()) | set(name.split())
    if composition.colour is not None:
        words.insert(0, composition.colour)
    elif composition.own_colour is not None and rng.random() < 0.4:
        is_named_so = composition.own_colour in name.split()
        if not is_named_so and not (named_colours & (set(COLOURS) - {composition.own_colour})):
            words.insert(0, composition.own_colour)
    if composition.size != "normal":
        words.insert(0, composition.size)
    phrase = " ".join(words)
    choice = rng.random()
    if choice < 0.35:
        return phrase
    if not concept.is_plural:
        phrase = _with_article(phrase)
    if choice < 0.88:
        return phrase
    return f"{_chosen_introduction(rng)} {phrase}"


def _noise(rng: np.random.Generator) -> list[str]:
    if rng.random() >= 0.2:
        return []
    chosen = rng.choice(len(NOISE_WORDS), int(rng.integers(1, 5)), replace=False)
    return [NOISE_WORDS[int(index)] for index in chosen]


def caption(composition: Composition, concepts: Mapping[str, Concept], rng: np.random.Generator) -> str:
    """One true caption.

    The style is always named unless it is the default one, the background unless it is white: so a prompt
    that names neither means one definite picture.

    Args:
        composition: What the picture shows.
        concepts: All concepts by name.
        rng: Source of the choice of words.
    """
    concept = concepts[composition.concept]
    if composition.second is None:
        subject = _noun_phrase(composition, concept, rng)
    else:
        subject = _both(concept, concepts[composition.second.concept], rng)
    attributes = []
    if composition.style != DEFAULT_STYLE or rng.random() < 0.3:
        attributes.append(f"{composition.style} style" if rng.random() < 0.85 else composition.style)
    if composition.background != DEFAULT_BACKGROUND or rng.random() < 0.15:
        if rng.random() < 0.3:
            subject += f" on {_with_article(composition.background)} background"
        else:
            attributes.append(f"{composition.background} background")
    if len(attributes) == 2 and rng.random() < 0.3:
        attributes.reverse()
    noise = _noise(rng)
    if noise and rng.random() < 0.3:
        return ", ".join([*noise, subject, *attributes])
    return ", ".join([subject, *attributes, *noise])


def phrases(concepts: Mapping[str, Concept], *, two: bool = False) -> Iterator[str]:
    """Every word that :func:`caption` can use, in phrases; tokenising them gives the whole vocabulary.

    Args:
        concepts: All concepts by name.
        two: Whether there are pictures of two things.
    """
    for concept in concepts.values():
        yield concept.name
        yield from concept.synonyms
    yield from COLOURS
    yield from (icon_set.style for icon_set in ICON_SETS)
    yield from NOISE_WORDS
    yield from _INTRODUCTIONS
    yield "a an small style background on,"
    if two:
        yield "and to the left of right"
