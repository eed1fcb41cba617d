"""Which combinations are kept from training, so that drawing them all the same can be measured."""

import zlib
from collections.abc import Mapping

from modules.training.icon_sets import ICON_SETS

__all__ = ["is_held_out", "is_pair_held_out", "is_style_held_out", "trained_drawings"]

_KEPT_STYLE = ICON_SETS[0].style  # every concept is learnt in this one at least
_SHARE = 0.1


def is_held_out(concept: str, attribute: str, share: float = _SHARE) -> bool:
    """Whether this pair of a concept and a colour, background or style is kept from training.

    Args:
        concept: Name of the concept.
        attribute: What it is combined with.
        share: Share of all pairs, in whole percent, that is kept.
    """
    return zlib.crc32(f"{concept}/{attribute}".encode()) % 100 < round(100 * share)


def is_style_held_out(concept: str, style: str, share: float) -> bool:
    """Whether the drawing of this concept in this style is kept from training; never the cartoon one."""
    return style != _KEPT_STYLE and is_held_out(concept, f"{style} style", share)


def is_pair_held_out(first: str, second: str) -> bool:
    """Whether no picture for training shows these two concepts together, whichever stands on the left."""
    return is_held_out(min(first, second), f"beside {max(first, second)}")


def trained_drawings(
    drawings: Mapping[tuple[str, str], int], held_out_styles: float
) -> Mapping[tuple[str, str], int]:
    """The drawings, by concept and style, that are left when a share of the pairs is kept apart."""
    return {
        (concept, style): drawing
        for (concept, style), drawing in drawings.items()
        if not is_style_held_out(concept, style, held_out_styles)
    }
