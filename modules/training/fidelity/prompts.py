"""The prompts whose pictures are judged: the same ones for every model of the same recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modules.training.captions import DEFAULT_STYLE
from modules.training.compositions import Composition
from modules.training.concepts import Concept
from modules.training.fidelity.pictures import Drawing
from modules.training.held_out import is_held_out
from modules.training.palette import BACKGROUND_COLOURS, DEFAULT_BACKGROUND

__all__ = [
    "COUNTS",
    "HELD_OUT_BACKGROUND",
    "HELD_OUT_COLOUR",
    "HELD_OUT_STYLE",
    "QUALITY_WORDS",
    "SEEN",
    "UNKNOWN_WORDS",
    "FidelityPrompt",
    "drawings_apart",
    "fidelity_prompts",
    "named",
    "thinned",
]

SEEN = "seen"
HELD_OUT_COLOUR = "held-out colour"
HELD_OUT_BACKGROUND = "held-out background"
HELD_OUT_STYLE = "held-out style"
QUALITY_WORDS = "quality words"
UNKNOWN_WORDS = "unknown words"

COUNTS: Mapping[str, int] = {
    SEEN: 120, HELD_OUT_COLOUR: 90, HELD_OUT_BACKGROUND: 90, QUALITY_WORDS: 50, UNKNOWN_WORDS: 50,
    HELD_OUT_STYLE: 100,
}  # fmt: skip
_ENDINGS = {
    QUALITY_WORDS: ", masterpiece, best quality, highly detailed",
    UNKNOWN_WORDS: ", volumetric fog, octane render, bokeh, by zorvath quimble",
}
_FIRST_SEED = 1000
_SEEDS_A_STYLE = 4  # pictures of each held-out drawing, of which there are few


@dataclass(frozen=True)
class FidelityPrompt:
    """A prompt and what its picture has to show.

    Attributes:
        group: Which kind of prompt it is.
        text: The prompt.
        wanted: What it asks for.
        seed: Seed of its picture.
        says_where: Whether it says which of two things is on the left.
    """

    group: str
    text: str
    wanted: Composition
    seed: int
    says_where: bool = False


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
    apart = drawings_apart(drawings, trained)
    learnt = [drawing for drawing in drawings if drawing not in apart]
    wanted = {
        SEEN: seen,
        HELD_OUT_COLOUR: _held_out_colours(learnt),
        HELD_OUT_BACKGROUND: _held_out_backgrounds(learnt),
        QUALITY_WORDS: seen,
        UNKNOWN_WORDS: seen,
        HELD_OUT_STYLE: sorted([drawing.plain for drawing in apart] * _SEEDS_A_STYLE, key=_order),
    }
    prompts: list[FidelityPrompt] = []
    for group, choices in wanted.items():
        for shown in thinned(choices, counts[group]):
            text = _words(shown, by_name[shown.concept]) + _ENDINGS.get(group, "")
            prompts.append(FidelityPrompt(group, text, shown, _FIRST_SEED + len(prompts)))
    return prompts


def drawings_apart(drawings: Sequence[Drawing], trained: Sequence[Composition]) -> tuple[Drawing, ...]:
    """The drawings, each a concept in a style, that a model was not trained on."""
    known = {_order(item) for item in trained}
    return tuple(drawing for drawing in drawings if _order(drawing.plain) not in known)


def _seen(trained: Sequence[Composition]) -> list[Composition]:
    """Of every drawing, in turn, the plain picture and one on a coloured background."""
    alone = [item for item in trained if item.second is None]
    plain = [item for item in alone if item.colour is None and item.size == "normal"]
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


def thinned(choices: Sequence[Composition], count: int) -> list[Composition]:
    """At most ``count`` of the choices, evenly spread."""
    if len(choices) <= count:
        return list(choices)
    return [choices[index * len(choices) // count] for index in range(count)]


def _words(shown: Composition, concept: Concept) -> str:
    """What a newcomer writes: style and background only where they are not what one gets anyway."""
    words = named(concept, shown.colour)
    if shown.style != DEFAULT_STYLE:
        words += f", {shown.style} style"
    if shown.background != DEFAULT_BACKGROUND:
        words += f", {shown.background} background"
    return words


def named(concept: Concept, colour: str | None = None) -> str:
    """A concept with its article, and with a colour if there is one."""
    words = f"{colour} {concept.name}" if colour else concept.name
    if concept.is_plural:
        return words
    return ("an " if words[0] in "aeiou" else "a ") + words
