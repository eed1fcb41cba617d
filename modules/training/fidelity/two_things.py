"""Prompts for two things side by side, and the judge's look at each half of their pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from modules.training.captions import DEFAULT_STYLE
from modules.training.compositions import Composition, Thing
from modules.training.concepts import Concept
from modules.training.fidelity.judge import Judge, to_pixels
from modules.training.fidelity.measures import Share
from modules.training.fidelity.prompts import FidelityPrompt, named, thinned
from modules.training.fidelity.rules import background_is
from modules.training.held_out import is_pair_held_out
from modules.training.icons import IconLibrary
from modules.training.palette import DEFAULT_BACKGROUND
from modules.training.two_things import compose_two

__all__ = ["HELD_OUT_PAIR", "SEEN_PAIR", "judge_pairs", "pair_prompts", "real_pairs"]

SEEN_PAIR = "two things, seen pair"
HELD_OUT_PAIR = "two things, held-out pair"
_COUNT = 90  # prompts of each group
_SAYS_WHERE = 3  # one prompt in so many says what is on the left and on the right
_FIRST_SEED = 5000


def pair_prompts(
    concepts: Sequence[Concept], trained: Sequence[Composition], count: int = _COUNT
) -> list[FidelityPrompt]:
    """Prompts for two things on white; none for a model that has never seen two.

    Args:
        concepts: All concepts.
        trained: Every composition that the model was trained on.
        count: Prompts of each group, at most.
    """
    by_name = {concept.name: concept for concept in concepts}
    seen = [replace(item, background=DEFAULT_BACKGROUND) for item in trained if item.second is not None]
    if not seen:
        return []
    wanted = {SEEN_PAIR: sorted(seen, key=_order), HELD_OUT_PAIR: list(_held_out_pairs(trained))}
    prompts: list[FidelityPrompt] = []
    for group, choices in wanted.items():
        for place, shown in enumerate(thinned(choices, count)):
            says_where = place % _SAYS_WHERE == 0
            text = _words(shown, by_name, says_where=says_where)
            seed = _FIRST_SEED + len(prompts)
            prompts.append(FidelityPrompt(group, text, shown, seed, says_where=says_where))
    return prompts


def _order(shown: Composition) -> tuple[str, str, int]:
    return shown.concept, shown.style, shown.second.drawing if shown.second else -1


def _held_out_pairs(trained: Sequence[Composition]) -> Iterator[Composition]:
    """Pairs of concepts that no picture shows together, in every style in which both are known."""
    drawings = {(item.concept, item.style): item.drawing for item in trained if item.second is None}
    for (left, style), drawing in sorted(drawings.items()):
        for (right, others_style), others in sorted(drawings.items()):
            if style == others_style and left != right and is_pair_held_out(left, right):
                yield Composition(left, style, drawing, second=Thing(right, others))


def _words(shown: Composition, by_name: dict[str, Concept], *, says_where: bool) -> str:
    second = shown.second.concept if shown.second else shown.concept
    left, right = (named(by_name[name]) for name in (shown.concept, second))
    words = f"{left} on the left, {right} on the right" if says_where else f"{left} and {right}"
    return words if shown.style == DEFAULT_STYLE else f"{words}, {shown.style} style"


def real_pairs(prompts: Sequence[FidelityPrompt], library: IconLibrary, side: int) -> list[Image.Image]:
    """What the prompts ask for, made of the real drawings."""
    rng = np.random.default_rng(_FIRST_SEED)
    pictures = []
    for prompt in prompts:
        if prompt.wanted.second is None:
            raise ValueError(f"{prompt.text!r} asks for one thing.")
        left, right = (
            np.asarray(library.pixels[number])
            for number in (prompt.wanted.drawing, prompt.wanted.second.drawing)
        )
        pictures.append(Image.fromarray(compose_two(left, right, prompt.wanted, rng, side)))
    return pictures


def _halves(picture: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The squares around the middles of the left and the right half."""
    side = picture.width // 2
    top = (picture.height - side) // 2
    left, right = (picture.crop((corner, top, corner + side, top + side)) for corner in (0, side))
    return left, right


def judge_pairs(
    judge: Judge, prompts: Sequence[FidelityPrompt], pictures: Sequence[Image.Image], note: str = ""
) -> list[Share]:
    """How many pictures of each group show both things, by what the judge says of each half.

    Args:
        judge: Says what is in a picture of one thing.
        prompts: What the pictures have to show.
        pictures: One for each prompt.
        note: What follows the names of the groups.
    """
    ranks = judge.ranks(torch.stack([to_pixels(half) for picture in pictures for half in _halves(picture)]))
    said = {
        aspect: [judge.labels.names[aspect][int(number)] for number in ranks[aspect][:, 0]]
        for aspect in ("concept", "style")
    }
    found: dict[tuple[str, str], list[bool]] = {}
    for row, (prompt, picture) in enumerate(zip(prompts, pictures, strict=True)):
        halves = slice(2 * row, 2 * row + 2)
        answers = _answers(prompt, said["concept"][halves], said["style"][halves])
        on_ground = background_is(np.asarray(picture), prompt.wanted.background)
        for measure, right in {**answers, "background, by rule": on_ground}.items():
            found.setdefault((f"{prompt.group}{note}", measure), []).append(right)
    return [Share.of(group, measure, right) for (group, measure), right in found.items()]


def _answers(prompt: FidelityPrompt, concepts: list[str], styles: list[str]) -> dict[str, bool]:
    """Whether a picture is right in each respect, by concept and style of its left and its right half."""
    wanted = [prompt.wanted.concept, prompt.wanted.second.concept if prompt.wanted.second else ""]
    both = sorted(concepts) == sorted(wanted)
    answers = {
        "both concepts": both,
        "at least one concept": not set(concepts).isdisjoint(wanted),
        "both concepts, in the style": both and set(styles) == {prompt.wanted.style},
    }
    if prompt.says_where:
        answers["both concepts, left and right as said"] = concepts == wanted
    return answers
