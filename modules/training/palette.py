"""The colours that captions name."""

from collections.abc import Mapping

__all__ = ["BACKGROUND_COLOURS", "COLOURS", "DEFAULT_BACKGROUND"]

Rgb = tuple[int, int, int]

DEFAULT_BACKGROUND = "white"  # what a picture has when its caption names no background

COLOURS: Mapping[str, Rgb] = {
    "white": (255, 255, 255),
    "black": (20, 20, 20),
    "red": (225, 40, 40),
    "orange": (250, 140, 30),
    "yellow": (252, 220, 50),
    "green": (50, 170, 75),
    "teal": (20, 160, 155),
    "blue": (45, 100, 225),
    "light blue": (150, 205, 250),
    "purple": (130, 65, 190),
    "pink": (250, 150, 190),
    "brown": (130, 80, 45),
    "gray": (140, 140, 140),
}

BACKGROUND_COLOURS: tuple[str, ...] = tuple(name for name in COLOURS if name != DEFAULT_BACKGROUND)
