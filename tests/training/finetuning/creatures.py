"""Drawings of an invented creature, the zorblax, and of creatures that are none."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["BACKGROUNDS", "NAME", "Creature", "draw_creature", "draw_stranger", "draw_zorblax", "write_set"]

NAME = "zorblax"
BACKGROUNDS = {
    "white": (255, 255, 255), "yellow": (250, 215, 70), "pink": (250, 180, 200), "green": (120, 200, 120),
    "red": (220, 70, 60), "orange": (245, 160, 60), "gray": (170, 170, 170), "black": (30, 30, 35),
}  # fmt: skip
_COLOURS = {
    "blue": (50, 110, 230), "red": (220, 60, 60), "green": (70, 170, 80), "purple": (140, 80, 190),
    "brown": (140, 90, 50), "orange": (240, 140, 40),
}  # fmt: skip
_OUTLINE = (35, 35, 60)
_SCALE = 2  # drawn larger and made smaller, for smooth edges


@dataclass(frozen=True)
class Creature:
    """What it looks like; the defaults are a zorblax."""

    body: str = "blue"
    eyes: int = 1
    antennae: bool = True
    feet: tuple[int, int, int] = (245, 150, 40)
    square: bool = False


def draw_creature(
    creature: Creature,
    background: str,
    *,
    size: float,
    shift: tuple[float, float],
    mouth: str,
    side: int = 256,
) -> Image.Image:
    """One drawing; ``size`` is the body's width as a part of the side, ``shift`` its place."""
    whole = side * _SCALE
    image = Image.new("RGB", (whole, whole), BACKGROUNDS[background])
    pen = ImageDraw.Draw(image)
    r, line = size * whole / 2, max(2, round(whole * 0.012))
    cx, cy = whole * (0.5 + shift[0]), whole * (0.54 + shift[1])

    def disc(x: float, y: float, radius: float, colour: tuple[int, int, int], high: float = 1.0) -> None:
        box = (x - radius, y - radius * high, x + radius, y + radius * high)
        pen.ellipse(box, fill=colour, outline=_OUTLINE, width=line)

    for direction in (-1, 1):
        disc(cx + direction * 0.45 * r, cy + 0.98 * r, 0.3 * r, creature.feet, 0.55)
        if creature.antennae:
            tip = (cx + direction * 0.55 * r, cy - 1.45 * r)
            pen.line([(cx + direction * 0.3 * r, cy - 0.8 * r), tip], fill=_OUTLINE, width=2 * line)
            disc(*tip, 0.16 * r, (255, 220, 60))
    colour = _COLOURS[creature.body]
    if creature.square:
        pen.rectangle((cx - r, cy - r, cx + r, cy + r), fill=colour, outline=_OUTLINE, width=line)
    else:
        disc(cx, cy, r, colour)
    wide = 0.45 if creature.eyes == 1 else 0.25
    places = [0.0] if creature.eyes == 1 else [-0.4, 0.4]
    for place in places:
        disc(cx + place * r, cy - 0.2 * r, wide * r, (255, 255, 255))
        disc(cx + place * r, cy - 0.15 * r, wide * 0.45 * r, _OUTLINE)
    smile = (cx - 0.4 * r, cy + 0.2 * r, cx + 0.4 * r, cy + 0.7 * r)
    if mouth == "smiling":
        pen.arc(smile, 20, 160, fill=_OUTLINE, width=2 * line)
    elif mouth == "sad":
        pen.arc((smile[0], cy + 0.45 * r, smile[2], cy + 0.9 * r), 200, 340, fill=_OUTLINE, width=2 * line)
    else:
        disc(cx, cy + 0.5 * r, 0.16 * r, (120, 30, 40))
    return image.resize((side, side), Image.Resampling.LANCZOS)


def _posed(creature: Creature, rng: np.random.Generator, side: int) -> tuple[Image.Image, str, str]:
    background = list(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))]
    mouth = ("smiling", "sad", "surprised")[int(rng.integers(3))]
    shift = (float(rng.uniform(-0.08, 0.08)), float(rng.uniform(-0.05, 0.05)))
    size = float(rng.uniform(0.42, 0.58))
    image = draw_creature(creature, background, size=size, shift=shift, mouth=mouth, side=side)
    return image, background, mouth


def draw_zorblax(rng: np.random.Generator, side: int = 256) -> tuple[Image.Image, str]:
    """A zorblax in some pose, and its caption."""
    image, background, mouth = _posed(Creature(), rng, side)
    return image, f"a {mouth} {NAME}, {background} background"


def draw_stranger(rng: np.random.Generator, side: int = 256) -> Image.Image:
    """A creature that is no zorblax: at least one thing about it is wrong."""
    wrong = rng.random(4) < 0.4
    wrong[int(rng.integers(4))] = True
    creature = Creature(eyes=2 if wrong[0] else 1, antennae=not wrong[1], square=bool(wrong[2]))
    if wrong[3]:
        others = [name for name in _COLOURS if name != "blue"]
        creature = replace(creature, body=others[int(rng.integers(len(others)))])
    return _posed(creature, rng, side)[0]


def write_set(folder: Path, count: int = 20, seed: int = 0) -> Path:
    """Write pictures of zorblaxes with captions beside them, as an artist would lay them out."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        image, caption = draw_zorblax(rng)
        image.save(folder / f"{number:02d}.png")
        (folder / f"{number:02d}.txt").write_text(caption, encoding="utf-8")
    return folder
