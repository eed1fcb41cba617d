"""Pictures composed of one drawing and a background, so that what their captions say is true."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.training.concepts import Concept
from modules.training.held_out import is_held_out
from modules.training.palette import BACKGROUND_COLOURS, COLOURS, DEFAULT_BACKGROUND
from modules.training.recolouring import TARGET_COLOURS, colour_of_hue, dominant_hue, paint, recolour

__all__ = ["Composition", "Thing", "canvas_of", "compose", "plan_compositions"]

_LINE_ART = "line art"
_SCALES = {"normal": 0.84, "small": 0.5}  # side of the drawing, as a fraction of the picture's


@dataclass(frozen=True)
class Thing:
    """A drawing of a concept that stands beside another one."""

    concept: str
    drawing: int


@dataclass(frozen=True)
class Composition:
    """What one picture shows.

    Attributes:
        concept: Name of the concept; of the thing on the left, if there are two.
        style: Style of the drawing.
        drawing: Index of the drawing.
        background: Name of the background's colour.
        colour: Colour that the drawing was given; None if it was left as it is.
        own_colour: Colour that the drawing has by itself, where it can be named.
        size: "normal" or "small".
        second: What stands on the right, in the same style; None in a picture of one thing.
    """

    concept: str
    style: str
    drawing: int
    background: str = DEFAULT_BACKGROUND
    colour: str | None = None
    own_colour: str | None = None
    size: str = "normal"
    second: Thing | None = None


def canvas_of(background: str, rng: np.random.Generator, side: int) -> Image.Image:
    """An empty picture of ``side`` pixels a side; every colour but white varies a little."""
    colour = np.array(COLOURS[background])
    if background != DEFAULT_BACKGROUND:
        colour = np.clip(colour + rng.integers(-8, 9, 3), 0, 255)
    return Image.new("RGB", (side, side), tuple(int(channel) for channel in colour))


def compose(
    rgba: NDArray[np.uint8], hue: float | None, composition: Composition, rng: np.random.Generator, side: int
) -> NDArray[np.uint8]:
    """Draw a composition of one thing.

    Args:
        rgba: The drawing, (S, S, 4), straight alpha.
        hue: Its dominant hue, needed where the composition recolours it.
        composition: What to show.
        rng: Source of the background's slight variation.
        side: Pixels of the picture.

    Returns:
        (side, side, 3) RGB.
    """
    if composition.colour is not None:
        line_art = composition.style == _LINE_ART
        if not line_art and hue is None:
            raise ValueError(f"{composition.concept} in {composition.style} style has no dominant hue.")
        rgba = (
            paint(rgba, composition.colour)
            if line_art or hue is None
            else recolour(rgba, hue, composition.colour)
        )
    scaled = round(side * _SCALES[composition.size])
    icon = Image.fromarray(rgba).resize((scaled, scaled), Image.Resampling.LANCZOS)
    canvas = canvas_of(composition.background, rng, side)
    corner = (side - scaled) // 2
    canvas.paste(icon, (corner, corner), icon)
    return np.asarray(canvas)


def _background(rng: np.random.Generator, concept: str, avoid: str | None) -> str:
    allowed = [
        name
        for name in BACKGROUND_COLOURS
        if name != avoid and not is_held_out(concept, f"{name} background")
    ]
    return allowed[int(rng.integers(len(allowed)))]


def _colour(rng: np.random.Generator, concept: str, choices: tuple[str, ...], avoid: set[str]) -> str | None:
    allowed = [name for name in choices if name not in avoid and not is_held_out(concept, name)]
    return allowed[int(rng.integers(len(allowed)))] if allowed else None


def plan_compositions(
    concepts: tuple[Concept, ...],
    drawings: Mapping[tuple[str, str], int],
    pixels: NDArray[np.uint8],
    *,
    views: int,
    seed: int,
) -> Iterator[tuple[Composition, float | None]]:
    """Yield ``views`` compositions of every drawing, each with the drawing's dominant hue.

    The first is the plain one: own colours, white background, normal size.
    """
    names = {concept.name for concept in concepts}
    for (concept, style), drawing in drawings.items():
        if concept not in names:
            continue
        rng = np.random.default_rng((seed, drawing))
        hue = None if style == _LINE_ART else dominant_hue(np.asarray(pixels[drawing]))
        own = None if hue is None else colour_of_hue(hue)
        for view in range(views):
            plan = Composition(concept, style, drawing, own_colour=own)
            yield (plan if view == 0 else _vary(plan, hue, view, rng)), hue


def _vary(plan: Composition, hue: float | None, view: int, rng: np.random.Generator) -> Composition:
    line_art = plan.style == _LINE_ART
    background = DEFAULT_BACKGROUND
    if view % 3 != 0:
        background = _background(rng, plan.concept, plan.own_colour)
    colour: str | None = None
    if line_art and (rng.random() < 0.5 or background == "black"):
        avoid = {"black", background}
        colour = _colour(rng, plan.concept, tuple(COLOURS), avoid) or "yellow"
    elif hue is not None and (view % 3 == 0 or rng.random() < 0.2):
        avoid = {background} | ({plan.own_colour} if plan.own_colour else set())
        colour = _colour(rng, plan.concept, TARGET_COLOURS, avoid)
    size = "small" if view % 8 == 5 else "normal"
    return Composition(plan.concept, plan.style, plan.drawing, background, colour, plan.own_colour, size)
