"""Prompts of any length as chunks of 75 tokens, each encoded on its own.

A chunk is 77 tokens: start, 75 of the prompt, end. Chunks break where they are full, at ``BREAK``, or
shortly after a comma; an embedding takes as many places as it has vectors and is never cut in two.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from modules.conditioning.tokenizer import COMMA, END, START, ClipTokenizer
from modules.domain.prompt import BREAK, WeightedText

__all__ = ["CHUNK_LENGTH", "Chunk", "ChunkedText", "EmbeddingFix", "EmbeddingMatcher", "chunk_text"]

CHUNK_LENGTH = 75
PLACEHOLDER = 0  # the id at positions that an embedding overwrites


class EmbeddingMatcher(Protocol):
    """Knows which token sequences name an embedding."""

    def match(self, tokens: Sequence[int], position: int) -> tuple[str, int, int] | None:
        """Find the longest embedding name at a position.

        Returns:
            Its name, its number of vectors and the number of tokens its name takes, or None.
        """
        ...


@dataclass(frozen=True)
class EmbeddingFix:
    """An embedding to write over token vectors, ``offset`` counted from after the start token."""

    offset: int
    name: str


@dataclass(frozen=True)
class Chunk:
    """77 token ids with the weight of each; filled up with the end token."""

    tokens: tuple[int, ...]
    multipliers: tuple[float, ...]
    fixes: tuple[EmbeddingFix, ...] = ()


@dataclass(frozen=True)
class ChunkedText:
    """The chunks of one text, at least one. ``token_count`` counts full chunks as 75."""

    chunks: tuple[Chunk, ...]
    token_count: int

    @property
    def limit(self) -> int:
        """The token count up to which no further chunk is needed."""
        return math.ceil(max(self.token_count, 1) / CHUNK_LENGTH) * CHUNK_LENGTH


EMPTY_CHUNK = Chunk((START, *[END] * (CHUNK_LENGTH + 1)), (1.0,) * (CHUNK_LENGTH + 2))


@dataclass
class _Builder:
    """Fills chunks one token at a time."""

    backtrack: int
    chunks: list[Chunk] = field(default_factory=list)
    token_count: int = 0
    tokens: list[int] = field(default_factory=list)
    multipliers: list[float] = field(default_factory=list)
    fixes: list[EmbeddingFix] = field(default_factory=list)
    last_comma: int = -1

    def finish(self, *, is_last: bool = False) -> None:
        missing = CHUNK_LENGTH - len(self.tokens)
        self.token_count += len(self.tokens) if is_last else CHUNK_LENGTH
        tokens = (START, *self.tokens, *[END] * missing, END)
        multipliers = (1.0, *self.multipliers, *[1.0] * missing, 1.0)
        self.chunks.append(Chunk(tokens, multipliers, tuple(self.fixes)))
        self.tokens, self.multipliers, self.fixes, self.last_comma = [], [], [], -1

    def _break_after_comma(self) -> None:
        """Move what follows the last comma to the next chunk. Embedding fixes stay, as in the reference."""
        place = self.last_comma + 1
        tokens, multipliers = self.tokens[place:], self.multipliers[place:]
        del self.tokens[place:], self.multipliers[place:]
        self.finish()
        self.tokens, self.multipliers = tokens, multipliers

    def make_room(self, token: int) -> None:
        """Start a new chunk if this one is full, at a comma if one is near enough."""
        is_full = len(self.tokens) == CHUNK_LENGTH
        if token == COMMA:
            self.last_comma = len(self.tokens)
        elif is_full and self.last_comma != -1 and CHUNK_LENGTH - self.last_comma <= self.backtrack:
            self._break_after_comma()
        if len(self.tokens) == CHUNK_LENGTH:
            self.finish()

    def add_token(self, token: int, weight: float) -> None:
        self.tokens.append(token)
        self.multipliers.append(weight)

    def add_embedding(self, name: str, vectors: int, weight: float) -> None:
        vectors = min(vectors, CHUNK_LENGTH)
        if len(self.tokens) + vectors > CHUNK_LENGTH:
            self.finish()
        self.fixes.append(EmbeddingFix(len(self.tokens), name))
        self.tokens += [PLACEHOLDER] * vectors
        self.multipliers += [weight] * vectors


def chunk_text(
    pieces: Iterable[WeightedText],
    tokenizer: ClipTokenizer,
    *,
    embeddings: EmbeddingMatcher | None = None,
    comma_padding_backtrack: int = 20,
) -> ChunkedText:
    """Tokenise weighted pieces into chunks.

    Args:
        pieces: what :func:`~modules.domain.prompt.parse_attention` returns; each is tokenised alone.
        tokenizer: the model's tokenizer.
        embeddings: textual inversions that may be named in the text.
        comma_padding_backtrack: how many tokens back from a full chunk a comma may be to break there
            instead; 0 never does.
    """
    builder = _Builder(comma_padding_backtrack)
    for text, weight in pieces:
        if (text, weight) == BREAK:
            builder.finish()
            continue
        tokens = tokenizer.encode(text)
        position = 0
        while position < len(tokens):
            builder.make_room(tokens[position])
            found = embeddings.match(tokens, position) if embeddings else None
            if found is None:
                builder.add_token(tokens[position], weight)
                position += 1
            else:
                name, vectors, length = found
                builder.add_embedding(name, vectors, weight)
                position += length
    if builder.tokens or not builder.chunks:
        builder.finish(is_last=True)
    return ChunkedText(tuple(builder.chunks), builder.token_count)
