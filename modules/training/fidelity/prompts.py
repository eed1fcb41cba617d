"""The prompts whose pictures are judged: the same ones for every model of the same recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modules.training.captions import DEFAULT_STYLE
from modules.training.compositions import Composition
from modules.training.concepts import Concept
from modules.training.held_out import is_held_out
from modules.training.fidelity.pictures import Drawing
from modules.training.palette import BACKGROUND_COLOURS, DEFAULT_BACKGROUND

__all__ = [
    "COUNTS",
    "HELD_OUT_BACKGROUND",
    "HELD_OUT_COLOUR",
    "QUALITY_WORDS",
    "SEEN",
    "UNKNOWN_WORDS",
    "FidelityPrompt",
    "fidelity_prompts",
]

SEEN = "seen"
HELD_OUT_COLOUR = "held-out colour"
HELD_OUT_BACKGROUND = "held-out background"
QUALITY_WORDS = "quality words"
UNKNOWN_WORDS = "unknown words"

COUNTS: Mapping[str, int] = {
    SEEN: 120, HELD_OUT_COLOUR: 90, HELD_OUT_BACKGROUND: 90, QUALITY_WORDS: 50, UNKNOWN_WORDS: 50,
}  # fmt: skip
_ENDINGS = {
    QUALITY_WORDS: ", masterpiece, best quality, highly detailed",
    UNKNOWN_WORDS: ", volumetric fog, octane render, bokeh, by zorvath quimble",
}
_FIRST_SEED = 1000


@dataclass(frozen=True)
class FidelityPrompt:
    """A prompt and what its picture has to show.

    Attributes:
        group: Which kind of prompt it is.
        text: The prompt.
        wanted: What it asks for.
        seed: Seed of its picture.
    """

    group: str
    text: str
    wanted: Composition
    seed: int


def fidelity_prompts(
    concepts: Sequence[Concept],
    drawings: Sequence[Drawing],
    trained: Sequence[Composition],
    counts: Mapping[str, int] = COUNTS,
) -> list[FidelityPrompt]:
    """The prompts, those of a group spread evenly over concepts and styles.

    Args:
        concepts: All concepts.
        drawings: All drawings of them.
        trained: Every composition that the model was trained on.
        counts: Prompts of each group, at most.
    """
    by_name = {concept.name: concept for concept in concepts}
    seen = _seen(trained)
    wanted = {
        SEEN: seen,
        HELD_OUT_COLOUR: _held_out_colours(drawings),
        HELD_OUT_BACKGROUND: _held_out_backgrounds(drawings),
        QUALITY_WORDS: seen,
        UNKNOWN_WORDS: seen,
    }
    prompts: list[FidelityPrompt] = []
    for group, choices in wanted.items():
        for shown in _thinned(choices, counts[group]):
            text = _words(shown, by_name[shown.concept]) + _ENDINGS.get(group, "")
            prompts.append(FidelityPrompt(group, text, shown, _FIRST_SEED + len(prompts)))
    return prompts


def _seen(trained: Sequence[Composition]) -> list[Composition]:
    """Of every drawing, in turn, the plain picture and one on a coloured background."""
    plain = [item for item in trained if item.colour is None and item.size == "normal"]
    on_white = {item.drawing: item for item in plain if item.background == DEFAULT_BACKGROUND}
    on_colour = {item.drawing: item for item in plain if item.background != DEFAULT_BACKGROUND}
    chosen = []
    for place, (drawing, item) in enumerate(sorted(on_white.items(), key=lambda pair: _order(pair[1]))):
        chosen.append(on_colour.get(drawing, item) if place % 2 else item)
    return chosen


def _order(shown: Composition) -> tuple[str, str]:
    return shown.concept, shown.style


def _held_out_colours(drawings: Sequence[Drawing]) -> list[Composition]:
    return [
        replace(drawing.plain, colour=colour)
        for drawing in sorted(drawings, key=lambda one: _order(one.plain))
        for colour in drawing.colours
        if is_held_out(drawing.plain.concept, colour)
        and colour not in {drawing.own_colour, DEFAULT_BACKGROUND}
    ]


def _held_out_backgrounds(drawings: Sequence[Drawing]) -> list[Composition]:
    return [
        replace(drawing.plain, background=background)
        for drawing in sorted(drawings, key=lambda one: _order(one.plain))
        for background in BACKGROUND_COLOURS
        if is_held_out(drawing.plain.concept, f"{background} background") and background != drawing.own_colour
    ]


def _thinned(choices: Sequence[Composition], count: int) -> list[Composition]:
    if len(choices) <= count:
        return list(choices)
    return [choices[index * len(choices) // count] for index in range(count)]


def _words(shown: Composition, concept: Concept) -> str:
    """What a newcomer writes: style and background only where they are not what one gets anyway."""
    words = f"{shown.colour} {concept.name}" if shown.colour else concept.name
    if not concept.is_plural:
        words = ("an " if words[0] in "aeiou" else "a ") + words
    if shown.style != DEFAULT_STYLE:
        words += f", {shown.style} style"
    if shown.background != DEFAULT_BACKGROUND:
        words += f", {shown.background} background"
    return words
