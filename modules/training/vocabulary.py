"""A compact vocabulary: only tokens that captions use have rows while training."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from modules.conditioning.tokenizer import END, START, ClipTokenizer

__all__ = ["CompactVocabulary"]

_UNKNOWN_ROW = 0


@dataclass(frozen=True)
class CompactVocabulary:
    """Rows of the small token table; row 0 stands for every token that captions never use.

    Attributes:
        tokens: Token ids in ascending order; row ``1 + i`` belongs to ``tokens[i]``.
    """

    tokens: tuple[int, ...]

    @classmethod
    def of(cls, texts: Iterable[str], tokenizer: ClipTokenizer) -> Self:
        """The vocabulary of these texts, with the start and end tokens."""
        used = {START, END}
        for text in texts:
            used.update(tokenizer.encode(text))
        return cls(tuple(sorted(used)))

    @property
    def size(self) -> int:
        """Number of rows, the unknown one included."""
        return len(self.tokens) + 1

    def rows(self, tokens: Iterable[int]) -> list[int]:
        """Rows of token ids."""
        index = {token: row for row, token in enumerate(self.tokens, start=1)}
        return [index.get(token, _UNKNOWN_ROW) for token in tokens]

    def encode(
        self, text: str, tokenizer: ClipTokenizer, positions: int, *, unknown_at: float = -1
    ) -> Tensor:
        """Rows of a prompt, (positions,) int64: start, words, end, then ends up to the full length.

        Args:
            text: The prompt; words that do not fit are left out.
            tokenizer: Splits it.
            positions: Length of the sequence, 77 for the networks of Stable Diffusion 1.
            unknown_at: If in 0..1, where among the words an unknown word is put in.
        """
        words = tokenizer.encode(text)
        rows = self.rows(words)
        if unknown_at >= 0:
            rows.insert(round(unknown_at * len(rows)), _UNKNOWN_ROW)
        start, end = self.rows([START, END])
        sequence = [start, *rows[: positions - 2], end]
        return torch.tensor(sequence + [end] * (positions - len(sequence)))

    def expand(self, table: Tensor, size: int) -> Tensor:
        """The full table (size, W) of a compact one (rows, W); unused tokens share the unknown row."""
        full = table[_UNKNOWN_ROW].expand(size, -1).clone()
        full[torch.tensor(self.tokens)] = table[1:]
        return full
