"""Pictures of two different things in the same style, side by side."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.training.compositions import Composition, Thing, canvas_of
from modules.training.held_out import is_held_out, is_pair_held_out
from modules.training.icon_sets import ICON_SETS
from modules.training.palette import BACKGROUND_COLOURS, DEFAULT_BACKGROUND
from modules.training.recolouring import colour_of_hue, dominant_hue

__all__ = ["compose_two", "plan_two"]

_SCALE = 0.46  # side of each drawing, as a fraction of the picture's
_ON_COLOUR = 0.5  # share of coloured backgrounds
_LINE_ART = next(icon_set.style for icon_set in ICON_SETS if icon_set.single_colour)


def compose_two(
    left: NDArray[np.uint8],
    right: NDArray[np.uint8],
    composition: Composition,
    rng: np.random.Generator,
    side: int,
) -> NDArray[np.uint8]:
    """Draw two things, each in the middle of its half.

    Args:
        left: Drawing of the one, (S, S, 4), straight alpha.
        right: Drawing of the other.
        composition: What to show.
        rng: Source of the background's slight variation.
        side: Pixels of the picture.

    Returns:
        (side, side, 3) RGB.
    """
    canvas = canvas_of(composition.background, rng, side)
    scaled = round(side * _SCALE)
    for half, rgba in enumerate((left, right)):
        icon = Image.fromarray(rgba).resize((scaled, scaled), Image.Resampling.LANCZOS)
        canvas.paste(icon, (half * side // 2 + (side // 2 - scaled) // 2, (side - scaled) // 2), icon)
    return np.asarray(canvas)


def plan_two(
    drawings: Mapping[tuple[str, str], int], pixels: NDArray[np.uint8], *, count: int, seed: int
) -> Iterator[Composition]:
    """Yield ``count`` compositions of two things; pairs of concepts that are held out never occur.

    Args:
        drawings: Index of the drawing of a concept in a style.
        pixels: All drawings, (N, S, S, 4).
        count: Number of compositions; fewer where there are not as many pairs.
        seed: The same one gives the same compositions.
    """
    rng = np.random.default_rng((seed, 2, 2))  # two numbers are what plan_compositions begins with
    pairs = [
        ((one, style), (other, style))
        for (one, style), (other, others_style) in itertools.permutations(drawings, 2)
        if style == others_style and not is_pair_held_out(one, other)
    ]
    for place in rng.permutation(len(pairs))[:count]:
        left, right = (Thing(key[0], drawings[key]) for key in pairs[int(place)])
        style = pairs[int(place)][0][1]
        background = _background(left, right, style, pixels, rng)
        yield Composition(left.concept, style, left.drawing, background=background, second=right)


def _background(
    left: Thing, right: Thing, style: str, pixels: NDArray[np.uint8], rng: np.random.Generator
) -> str:
    """White or a colour that neither thing has and that is held out for neither."""
    own = {"black"} if style == _LINE_ART else set()
    if rng.random() >= _ON_COLOUR:
        return DEFAULT_BACKGROUND
    for thing in (left, right):
        hue = None if style == _LINE_ART else dominant_hue(np.asarray(pixels[thing.drawing]))
        own |= set() if hue is None else {colour_of_hue(hue) or ""}
    allowed = [
        name
        for name in BACKGROUND_COLOURS
        if name not in own
        and not any(is_held_out(thing.concept, f"{name} background") for thing in (left, right))
    ]
    return allowed[int(rng.integers(len(allowed)))]
