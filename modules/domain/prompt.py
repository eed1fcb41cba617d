r"""Emphasis in a prompt: ``(word:1.2)``, ``((word))``, ``[word]`` and ``BREAK``.

A round bracket multiplies the weight of what it encloses by 1.1, a square bracket divides by 1.1, and
``(text:w)`` multiplies by ``w`` instead. A backslash makes the next bracket literal. Round and square
brackets are matched separately, so ``(a [b) c]`` overlaps as artists know it from A1111.

The parser reads the text once. A piece's weight is the product of its brackets in the order in which
they close, which is what makes the floating point result equal to the reference to the last bit.
"""

import re
from dataclasses import dataclass, field

__all__ = ["BREAK", "WeightedText", "parse_attention"]

WeightedText = tuple[str, float]
"""A piece of text and the weight of its tokens."""

BREAK: WeightedText = ("BREAK", -1.0)
"""The piece that ends a chunk of 75 tokens. Inside brackets its weight changes and it is a plain word."""

ROUND_FACTOR = 1.1
SQUARE_FACTOR = 1 / 1.1
EXACT_DEPTH = 32  # brackets multiplied one by one; deeper ones share a product, equal but for rounding

_TOKEN = re.compile(r"\\[()\[\]\\]|\\|[()\[\]]|:\s*([+-]?[.\d]+)\s*\)|[^\\()\[\]:]+|:")
_BREAK_WORD = re.compile(r"\bBREAK\b")


@dataclass(eq=False, slots=True)
class _Group:
    """A bracket: the pieces it multiplies, by what, and when it closed."""

    parent: "_Group | None"
    factor: float
    closed_at: float = 0.0
    outer: float = field(default=1.0)


@dataclass(slots=True)
class _Piece:
    text: str
    weight: float
    round: _Group | None
    square: _Group | None


class _Reader:
    """Collects pieces and the brackets around them."""

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []
        self.round: _Group | None = None
        self.square: _Group | None = None
        self.groups: list[_Group] = []

    def open(self, bracket: str) -> None:
        if bracket == "(":
            self.round = _Group(self.round, ROUND_FACTOR)
            self.groups.append(self.round)
        else:
            self.square = _Group(self.square, SQUARE_FACTOR)
            self.groups.append(self.square)

    def close_round(self, position: int, factor: float) -> None:
        group = self.round
        if group is not None:
            group.factor, group.closed_at, self.round = factor, position, group.parent

    def close_square(self, position: int) -> None:
        group = self.square
        if group is not None:
            group.closed_at, self.square = position, group.parent

    def add(self, text: str, weight: float = 1.0) -> None:
        self.pieces.append(_Piece(text, weight, self.round, self.square))

    def add_run(self, text: str) -> None:
        parts = _BREAK_WORD.split(text)
        for index, part in enumerate(parts):
            if index > 0:
                self.add(*BREAK)
                part = part.lstrip()
            self.add(part.rstrip() if index < len(parts) - 1 else part)

    def close_rest(self, position: int) -> None:
        """Close what was left open: first the round brackets, then the square ones."""
        while self.round is not None:
            self.close_round(position, ROUND_FACTOR)
        while self.square is not None:
            self.close_square(position + 1)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "1.3.1": the reference fails here, we take it as text
        return None


def _read(text: str) -> _Reader:
    reader = _Reader()
    for match in _TOKEN.finditer(text):
        symbol, position = match.group(), match.start()
        if symbol[0] == "\\":
            reader.add(symbol[1:])
        elif symbol in {"(", "["}:
            reader.open(symbol)
        elif symbol == ")" and reader.round is not None:
            reader.close_round(position, ROUND_FACTOR)
        elif symbol == "]" and reader.square is not None:
            reader.close_square(position)
        elif match.group(1) is not None and reader.round is not None:
            weight = _number(match.group(1))
            if weight is None:
                reader.add_run(symbol[:-1])
            reader.close_round(position, ROUND_FACTOR if weight is None else weight)
        else:
            reader.add_run(symbol)
    reader.close_rest(len(text))
    return reader


def _weight(piece: _Piece) -> float:
    """Multiply the brackets around a piece, those that close first coming first."""
    weight, round_, square = piece.weight, piece.round, piece.square
    for _ in range(EXACT_DEPTH):
        if round_ is not None and (square is None or round_.closed_at < square.closed_at):
            weight *= round_.factor
            round_ = round_.parent
        elif square is not None:
            weight *= square.factor
            square = square.parent
        else:
            return weight
    for rest in (round_, square):
        weight *= 1.0 if rest is None else rest.outer
    return weight


def parse_attention(text: str) -> tuple[WeightedText, ...]:
    """Split a prompt into pieces of equal weight.

    Args:
        text: A prompt after prompt editing and without extra network tags.

    Returns:
        Pieces in order; neighbours of equal weight are joined. ``("BREAK", -1.0)`` marks a forced new
        chunk. Never empty: a prompt without text gives ``(("", 1.0),)``.
    """
    reader = _read(text)
    for group in reader.groups:  # parents come before their children
        group.outer = group.factor if group.parent is None else group.parent.outer * group.factor
    result: list[tuple[list[str], float]] = []
    for piece in reader.pieces:
        weight = _weight(piece)
        if result and result[-1][1] == weight:
            result[-1][0].append(piece.text)
        else:
            result.append(([piece.text], weight))
    return tuple(("".join(texts), weight) for texts, weight in result) or (("", 1.0),)
