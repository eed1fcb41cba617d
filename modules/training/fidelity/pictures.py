"""Real pictures for the judge: drawings on backgrounds, moved, scaled, blurred and tinted a little."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from modules.training.compositions import Composition
from modules.training.concepts import Concept, drawings_of
from modules.training.fidelity.judge import SIDE, Labels
from modules.training.held_out import is_held_out
from modules.training.icon_sets import ICON_SETS
from modules.training.icons import IconLibrary
from modules.training.palette import COLOURS, DEFAULT_BACKGROUND
from modules.training.recolouring import TARGET_COLOURS, colour_of_hue, dominant_hue, paint, recolour

__all__ = ["Drawing", "RealPictures", "drawings_for"]

Part = Literal["trained", "held out"]

_LINE_ART = next(icon_set.style for icon_set in ICON_SETS if icon_set.single_colour)
_KEPT = 96  # pixels of a drawing's side; more than the judge sees


@dataclass(frozen=True, eq=False)
class Drawing:
    """One drawing of a concept.

    Attributes:
        plain: The composition that shows it as it is, on white.
        rgba: (96, 96, 4), straight alpha.
        hue: Its dominant hue in degrees; None where it has none, or only black.
    """

    plain: Composition
    rgba: NDArray[np.uint8]
    hue: float | None

    @property
    def colours(self) -> tuple[str, ...]:
        """The colours that it can be given."""
        if self.plain.style == _LINE_ART:
            return tuple(COLOURS)
        return TARGET_COLOURS if self.hue is not None else ()

    @property
    def own_colour(self) -> str | None:
        """The colour that it has; None where it cannot be named."""
        return "black" if self.plain.style == _LINE_ART else self.plain.own_colour


def drawings_for(concepts: tuple[Concept, ...], library: IconLibrary) -> tuple[Drawing, ...]:
    """Every drawing of the concepts, small."""
    found = []
    for (concept, style), index in drawings_of(concepts, library).items():
        whole = np.asarray(library.pixels[index])
        hue = None if style == _LINE_ART else dominant_hue(whole)
        own = None if hue is None else colour_of_hue(hue)
        small = np.asarray(Image.fromarray(whole).resize((_KEPT, _KEPT), Image.Resampling.LANCZOS))
        found.append(Drawing(Composition(concept, style, index, own_colour=own), small, hue))
    return tuple(found)


class RealPictures:
    """Draws pictures with the right answers; the same numbers give the same pictures."""

    def __init__(self, drawings: tuple[Drawing, ...], labels: Labels) -> None:
        self.drawings = drawings
        self._labels = labels
        self._coloured: dict[tuple[int, str], NDArray[np.uint8]] = {}

    def sample(self, rng: np.random.Generator, count: int, part: Part = "trained") -> tuple[Tensor, Tensor]:
        """Pictures (count, 3, SIDE, SIDE) in -1..1 and right answers (count, aspects) int64.

        Args:
            rng: Source of everything random.
            count: Number of pictures.
            part: Which pairs of a concept with a colour or a background are shown: those that the embedded
                model learns from, which are the judge's too, or those that are kept from both.
        """
        pictures: list[NDArray[np.uint8]] = []
        answers: list[list[int]] = []
        while len(pictures) < count:
            drawing = self.drawings[int(rng.integers(len(self.drawings)))]
            shown = _vary(drawing, rng)
            if _is_visible(drawing, shown) and _has_held_out_pair(shown) == (part == "held out"):
                pictures.append(self._draw(drawing, shown, rng))
                answers.append(self._labels.row(shown, has_one_hue=drawing.hue is not None))
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return pixels, torch.tensor(answers)

    def _draw(self, drawing: Drawing, shown: Composition, rng: np.random.Generator) -> NDArray[np.uint8]:
        side = max(8, round(SIDE * (0.5 if shown.size == "small" else 0.84) * rng.uniform(0.86, 1.12)))
        icon = Image.fromarray(self._rgba(drawing, shown.colour)).resize(
            (side, side), Image.Resampling.BILINEAR
        )
        icon = icon.rotate(rng.uniform(-7, 7), Image.Resampling.BILINEAR)
        ground = np.clip(np.array(COLOURS[shown.background]) + rng.integers(-12, 13, 3), 0, 255)
        canvas = Image.new("RGB", (SIDE, SIDE), tuple(int(channel) for channel in ground))
        spread = 0.06 * SIDE
        corner = [round((SIDE - side) / 2 + rng.uniform(-spread, spread)) for _ in range(2)]
        canvas.paste(icon, (corner[0], corner[1]), icon)
        if rng.random() < 0.6:
            canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.3)))
        return _tinted(np.asarray(canvas), rng)

    def _rgba(self, drawing: Drawing, colour: str | None) -> NDArray[np.uint8]:
        if colour is None:
            return drawing.rgba
        key = (drawing.plain.drawing, colour)
        if key not in self._coloured:
            hue = drawing.hue
            self._coloured[key] = (
                paint(drawing.rgba, colour) if hue is None else recolour(drawing.rgba, hue, colour)
            )
        return self._coloured[key]


def _vary(drawing: Drawing, rng: np.random.Generator) -> Composition:
    background = DEFAULT_BACKGROUND if rng.random() < 0.25 else _chosen(tuple(COLOURS), rng)
    colour = _chosen(drawing.colours, rng) if drawing.colours and rng.random() < 0.5 else None
    size = "small" if rng.random() < 0.1 else "normal"
    return replace(drawing.plain, background=background, colour=colour, size=size)


def _chosen(names: tuple[str, ...], rng: np.random.Generator) -> str:
    return names[int(rng.integers(len(names)))]


def _is_visible(drawing: Drawing, shown: Composition) -> bool:
    return (shown.colour or drawing.own_colour) != shown.background


def _has_held_out_pair(shown: Composition) -> bool:
    on_colour = shown.background != DEFAULT_BACKGROUND
    return (on_colour and is_held_out(shown.concept, f"{shown.background} background")) or (
        shown.colour is not None and is_held_out(shown.concept, shown.colour)
    )


def _tinted(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness, contrast and balance changed by what leaves every colour its name, and a little noise."""
    gain = rng.uniform(0.9, 1.1) * rng.uniform(0.96, 1.04, 3)
    noisy = (rgb - 127.5) * gain + 127.5 + rng.normal(0, rng.uniform(0, 5), rgb.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)
