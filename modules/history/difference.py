"""What differs between two pictures' parameters, word by word, and the same change made to a third text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from modules.domain.infotext import Infotext

__all__ = [
    "Difference",
    "ParameterChange",
    "WordChange",
    "carry_over",
    "compare",
    "word_changes",
]

MAX_CELLS = 1_000_000  # words of one text times words of the other that are compared; a fifth of a second
_WORD_WEIGHT, _MARK_WEIGHT = 3, 1  # to keep a word in place is worth more than to keep a comma

_SIGN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"  # Chinese, Japanese, Korean: each a word
_TOKEN = re.compile(
    rf"(?P<word>[{_SIGN}]|[^\W{_SIGN}]+(?:[.'’-][^\W{_SIGN}]+)*|[^\w\s]|\A(?=\s))(?P<space>\s*)"
)


@dataclass(frozen=True)
class WordChange:
    """A run of words that both texts have, only the first ("removed") or only the second ("added")."""

    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(frozen=True)
class ParameterChange:
    """A parameter of either picture; None where a picture does not have it."""

    name: str
    first: str | None
    second: str | None

    @property
    def is_change(self) -> bool:
        """Whether the two differ."""
        return self.first != self.second


@dataclass(frozen=True)
class Difference:
    """From the first picture to the second."""

    prompt: tuple[WordChange, ...]
    negative_prompt: tuple[WordChange, ...]
    parameters: tuple[ParameterChange, ...]


def compare(first: Infotext, second: Infotext) -> Difference:
    """All of two pictures' parameters side by side, in the order of the first, then of the second."""
    names = dict.fromkeys([*first.parameters, *second.parameters])
    return Difference(
        word_changes(first.prompt, second.prompt),
        word_changes(first.negative_prompt, second.negative_prompt),
        tuple(
            ParameterChange(name, first.parameters.get(name), second.parameters.get(name)) for name in names
        ),
    )


def word_changes(first: str, second: str) -> tuple[WordChange, ...]:
    """Runs of words: all but "removed" are the second text, all but "added" the words of the first."""
    one, two = _tokens(first), _tokens(second)
    changes: list[WordChange] = []
    for hunk in _hunks(one, two):
        same = two[hunk.same_from : hunk.added_from]
        for kind, tokens in (
            ("same", same),
            ("removed", one[hunk.removed_from : hunk.removed_to]),
            ("added", two[hunk.added_from : hunk.added_to]),
        ):
            if tokens:
                changes.append(WordChange(kind, "".join(map(str, tokens))))  # type: ignore[arg-type]  # a literal
    return tuple(changes)


def carry_over(first: str, second: str, text: str) -> str:
    """Make the change that leads from the first text to the second in a third one.

    Words that the change removes go where they are found; words that it adds come where the words before
    or behind them stand, else at the end. ``carry_over(a, b, a)`` is ``b``.
    """
    one, two, ours = _tokens(first), _tokens(second), _tokens(text)
    merge = _Merge(one, two, ours, dict(_pairs(one, ours)))
    for hunk in _hunks(one, two):
        merge.make(hunk)
    return merge.text()


@dataclass(frozen=True)
class _Token:
    word: str
    space: str

    @property
    def weight(self) -> int:
        return _WORD_WEIGHT if self.word[:1].isalnum() else _MARK_WEIGHT

    def __str__(self) -> str:
        return self.word + self.space


@dataclass(frozen=True)
class _Hunk:
    """Words that both have, from ``same_from`` on (in the second text), and the change behind them."""

    same_from: int
    removed_from: int
    removed_to: int
    added_from: int
    added_to: int


@dataclass
class _Merge:
    """The third text while changes are made in it.

    Attributes:
        place: index in ``ours`` of those words of ``one`` that it has too.
    """

    one: Sequence[_Token]
    two: Sequence[_Token]
    ours: Sequence[_Token]
    place: dict[int, int]
    dropped: set[int] = field(default_factory=set)
    inserted: dict[int, list[_Token]] = field(default_factory=dict)  # in front of a word of ours
    spaces: dict[int, str] = field(default_factory=dict)

    def make(self, hunk: _Hunk) -> None:
        self._keep_spaces(hunk)
        removed = range(hunk.removed_from, hunk.removed_to)
        found = [self.place[index] for index in removed if index in self.place]
        self.dropped.update(found)
        added = list(self.two[hunk.added_from : hunk.added_to])
        if added:
            at = found[0] if found else self._spot(hunk)
            if at is None:
                at, added = len(self.ours), self._as_phrase(added)
            self.inserted.setdefault(at, []).extend(added)

    def text(self) -> str:
        parts: list[str] = []
        for index in range(len(self.ours) + 1):
            parts += map(str, self.inserted.get(index, ()))
            if index < len(self.ours) and index not in self.dropped:
                token = self.ours[index]
                parts.append(token.word + self.spaces.get(index, token.space))
        return "".join(parts)

    def _keep_spaces(self, hunk: _Hunk) -> None:
        """Blanks behind kept words change like words: if ours are those of the first, to the second's."""
        count = hunk.added_from - hunk.same_from
        for step in range(count):
            before = hunk.removed_from - count + step
            at = self.place.get(before)
            if at is not None and self.ours[at].space == self.one[before].space:
                self.spaces[at] = self.two[hunk.same_from + step].space

    def _spot(self, hunk: _Hunk) -> int | None:
        """Where new words belong; None when nothing around them is in our text."""
        if hunk.removed_from > 0 and self._is_anchor(hunk.removed_from - 1):
            return self.place[hunk.removed_from - 1] + 1
        if hunk.removed_to < len(self.one) and self._is_anchor(hunk.removed_to):
            return self.place[hunk.removed_to]
        return 0 if not self.ours else None

    def _is_anchor(self, index: int) -> bool:
        """A word that both have; a comma only if the word before it is there too."""
        if index not in self.place:
            return False
        if self.one[index].weight == _WORD_WEIGHT or index == 0:
            return True
        return self.place.get(index - 1) == self.place[index] - 1

    def _as_phrase(self, added: list[_Token]) -> list[_Token]:
        if added[0].weight == _MARK_WEIGHT or str(self.ours[-1]).rstrip().endswith(","):
            return added
        return [_Token(",", " "), *added]


def _tokens(text: str) -> list[_Token]:
    return [_Token(match["word"], match["space"]) for match in _TOKEN.finditer(text)]


def _hunks(one: Sequence[_Token], two: Sequence[_Token]) -> Iterator[_Hunk]:
    """The two texts cut where they differ; all words of both are in one hunk or another."""
    done_one = done_two = same_from = 0
    for index, other in [*_pairs(one, two), (len(one), len(two))]:
        if (index, other) != (done_one, done_two):
            yield _Hunk(same_from, done_one, index, done_two, other)
            same_from = other
        done_one, done_two = index + 1, other + 1
    if same_from < len(two):
        yield _Hunk(same_from, len(one), len(one), len(two), len(two))


def _pairs(one: Sequence[_Token], two: Sequence[_Token]) -> list[tuple[int, int]]:
    """Indices of the words that both have, in order: a heaviest common subsequence."""
    words, others = [token.word for token in one], [token.word for token in two]
    head = 0
    while head < min(len(words), len(others)) and words[head] == others[head]:
        head += 1
    tail = 0
    while tail < min(len(words), len(others)) - head and words[-1 - tail] == others[-1 - tail]:
        tail += 1
    pairs = [(index, index) for index in range(head)]
    middle = (range(head, len(words) - tail), range(head, len(others) - tail))
    if len(middle[0]) * len(middle[1]) <= MAX_CELLS:
        weights = [token.weight for token in one]
        pairs += _heaviest(words, others, weights, middle)
    return pairs + [(len(words) - back, len(others) - back) for back in range(tail, 0, -1)]


def _heaviest(
    words: list[str], others: list[str], weights: list[int], middle: tuple[range, range]
) -> list[tuple[int, int]]:
    rows, columns = middle
    best = [[0] * (len(columns) + 1) for _ in range(len(rows) + 1)]
    for row in range(len(rows) - 1, -1, -1):
        word, weight, line, below = words[rows[row]], weights[rows[row]], best[row], best[row + 1]
        for column in range(len(columns) - 1, -1, -1):
            if word == others[columns[column]]:
                line[column] = below[column + 1] + weight
            else:
                line[column] = max(below[column], line[column + 1])
    pairs, row, column = [], 0, 0
    while row < len(rows) and column < len(columns):
        if words[rows[row]] == others[columns[column]]:
            pairs.append((rows[row], columns[column]))
            row, column = row + 1, column + 1
        elif best[row + 1][column] >= best[row][column + 1]:
            row += 1
        else:
            column += 1
    return pairs
