"""Captions to conditioning: with gradients where text or words are trained, kept where they are not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.conditioning.chunks import CHUNK_LENGTH, ChunkedText, chunk_text
from modules.conditioning.options import EncodingOptions
from modules.conditioning.size_vector import number_features
from modules.conditioning.text_states import TextRunner
from modules.conditioning.tokenizer import ClipTokenizer, clip_tokenizer

__all__ = ["CaptionEncoder", "TaughtWord", "Texts", "vector_of"]

MAX_CHUNKS = 3  # 225 tokens; what follows is cut off
Texts = tuple[Tensor, Tensor | None]
"""States (B, T, D), and the pooled state (B, P) of models that use one."""


class TaughtWord(Protocol):
    """A word whose vectors are being trained."""

    name: str
    count: int

    def vectors(self, encoder: int) -> Tensor:
        """Its vectors (N, W) for one of the model's text encoders."""
        ...


@dataclass(frozen=True)
class _Matcher:
    """Finds the word among tokens; see :class:`~modules.conditioning.chunks.EmbeddingMatcher`."""

    word: TaughtWord
    tokens: tuple[int, ...]

    def match(self, tokens: Sequence[int], position: int) -> tuple[str, int, int] | None:
        length = len(self.tokens)
        found = length and tuple(tokens[position : position + length]) == self.tokens
        return (self.word.name, self.word.count, length) if found else None


@dataclass(eq=False)
class CaptionEncoder:
    """Encodes captions with a model's text encoders, as prompts are encoded.

    Args:
        model: the model.
        clip_skip: layer of the text encoder, where the family allows one to be chosen.
        changes: whether the result changes while training; what does not is computed once and kept.
        word: a textual inversion that is being trained.
    """

    model: LoadedModel
    clip_skip: int = 1
    changes: bool = False
    word: TaughtWord | None = None
    _kept: dict[tuple[str, int], Texts] = field(init=False, default_factory=dict)

    def encode(self, captions: Sequence[str]) -> Texts:
        """States and pooled state of captions, padded to the longest, on the model's device.

        Empty ones are zeros where the family wants that of an empty negative prompt.
        """
        chunked = [[self._chunked(text, flavour) for text in captions] for flavour in self._tokenizers()]
        length = max(len(text.chunks) for texts in chunked for text in texts)
        if self.changes:
            states, pooled = self._run(chunked, length)
        else:
            rows = [self._remembered(text, length) for text in captions]
            device = self.model.runtime.device
            states = torch.cat([row[0] for row in rows]).to(device)
            summaries = [row[1] for row in rows if row[1] is not None]
            pooled = torch.cat(summaries).to(device) if summaries else None
        if self.model.family.zeroes_empty_negative and "" in captions:
            said = torch.tensor([bool(text) for text in captions], device=states.device)
            states = states * said[:, None, None]
            pooled = None if pooled is None else pooled * said[:, None]
        return states, pooled

    def too_long(self, captions: Sequence[str]) -> list[str]:
        """Captions whose end is cut off."""
        tokenizer = self._tokenizers()[0]
        return [
            text for text in captions if self._whole(text, tokenizer).token_count > MAX_CHUNKS * CHUNK_LENGTH
        ]

    def _tokenizers(self) -> tuple[ClipTokenizer, ...]:
        return tuple(clip_tokenizer(role.architecture) for role in self.model.family.text_encoders)

    def _remembered(self, text: str, length: int) -> Texts:
        if (text, length) not in self._kept:
            with torch.no_grad():
                chunked = [[self._chunked(text, tokenizer)] for tokenizer in self._tokenizers()]
                states, pooled = self._run(chunked, length)
            self._kept[text, length] = (states.cpu(), None if pooled is None else pooled.cpu())
        return self._kept[text, length]

    def _whole(self, text: str, tokenizer: ClipTokenizer) -> ChunkedText:
        matcher = _Matcher(self.word, tuple(tokenizer.encode(self.word.name))) if self.word else None
        return chunk_text(((text, 1.0),), tokenizer, embeddings=matcher)

    def _chunked(self, text: str, tokenizer: ClipTokenizer) -> ChunkedText:
        whole = self._whole(text, tokenizer)
        return replace(whole, chunks=whole.chunks[:MAX_CHUNKS])

    def _run(self, chunked: Sequence[Sequence[ChunkedText]], length: int) -> Texts:
        options = EncodingOptions(emphasis="None", clip_skip=self.clip_skip)
        counts = torch.ones(len(chunked[0]))
        states, pooled = [], None
        encoders = zip(self.model.text_encoders, self.model.family.text_encoders, strict=True)
        for index, (encoder, role) in enumerate(encoders):
            runner = TextRunner(encoder, role, options, self.model.runtime.device, self._vectors(index))
            hidden, summary = runner.encode(chunked[index], counts, length)
            states.append(hidden)
            pooled = summary if summary is not None else pooled
        return torch.cat(states, dim=-1), pooled

    def _vectors(self, encoder: int) -> Mapping[str, Tensor]:
        return {} if self.word is None else {self.word.name: self.word.vectors(encoder)}


def vector_of(pooled: Tensor | None, sizes: Sequence[Sequence[int]]) -> Tensor | None:
    """The vector conditioning (B, A): pooled text, then original size, crop and target size of each row."""
    if pooled is None:
        return None
    numbers = torch.stack([number_features(row) for row in sizes])
    return torch.cat([pooled, numbers.to(pooled)], dim=-1)
