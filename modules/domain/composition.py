"""Composable prompts: ``a cat AND a dog:0.6`` asks for two things at once, each with a weight."""

import re

__all__ = ["split_composition"]

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"[-+]?(?:\d+\.?|\d*\.\d+)")


def _text_and_weight(part: str) -> tuple[str, float]:
    text = part.rstrip()
    before, colon, number = text.rpartition(":")
    if colon and _WEIGHT.fullmatch(number.lstrip()):
        return before.rstrip(), float(number)
    return text, 1.0


def split_composition(text: str) -> tuple[tuple[str, float], ...]:
    """Split a prompt at the whole word ``AND``.

    Returns:
        Texts with their weights, never empty. A trailing ``:number`` is the weight, else 1.0, even in a
        prompt without ``AND``. Blanks before a part are kept, those after it are not.

    Source: Liu et al. 2022, "Compositional Visual Generation with Composable Diffusion Models".
    """
    return tuple(_text_and_weight(part) for part in _AND.split(text))
