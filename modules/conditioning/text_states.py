"""Running one text encoder over the chunks of several texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor

from modules.conditioning.chunks import EMPTY_CHUNK, Chunk, ChunkedText
from modules.conditioning.emphasis import apply_emphasis
from modules.conditioning.options import EncodingOptions
from modules.conditioning.tokenizer import END
from modules.families.family import TextEncoderRole
from modules.networks.text_encoder import TextEncoder

__all__ = ["TextRunner"]


@dataclass(frozen=True)
class TextRunner:
    """One text encoder of a model and how its family uses it.

    Attributes:
        vectors: embedding vectors (N, W) by name, for this encoder.
    """

    encoder: TextEncoder
    role: TextEncoderRole
    options: EncodingOptions
    device: torch.device
    vectors: Mapping[str, Tensor]

    def encode(
        self, texts: Sequence[ChunkedText], counts: Tensor, chunks: int
    ) -> tuple[Tensor, Tensor | None]:
        """Encode texts together.

        Args:
            texts: each with up to ``chunks`` chunks; shorter ones are filled up with empty chunks.
            counts: how often each text counts in the mean that emphasis keeps, (B,).
            chunks: length of the result in chunks.

        Returns:
            States (B, 77 * chunks, W), and the pooled state of the first chunk (B, P) where there is one.
        """
        rows = list(zip_longest(*(text.chunks for text in texts), fillvalue=EMPTY_CHUNK))
        rows += [(EMPTY_CHUNK,) * len(texts)] * (chunks - len(rows))
        encoded = [self._encode_chunk(row, counts) for row in rows]
        return torch.cat([states for states, _ in encoded], dim=1), encoded[0][1]

    def _encode_chunk(self, chunks: Sequence[Chunk], counts: Tensor) -> tuple[Tensor, Tensor | None]:
        ids = torch.tensor([self._padded(chunk.tokens) for chunk in chunks], device=self.device)  # B 77
        weights = torch.tensor([chunk.multipliers for chunk in chunks], device=self.device)  # B 77
        embedded = self._embed(ids, chunks)
        states = self.encoder(embedded, ids)
        layer = self._hidden_layer()
        hidden = states.hidden[layer]
        if self.role.final_norm:
            hidden = self.encoder.normalise(hidden)
        pooled = states.pooled if self.role.pooled else None
        return apply_emphasis(hidden, weights, self.options.emphasis, counts.to(self.device)), pooled

    def _padded(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        end = tokens.index(END) + 1
        return tokens[:end] + (self.encoder.pad_token,) * (len(tokens) - end)

    def _embed(self, ids: Tensor, chunks: Sequence[Chunk]) -> Tensor:
        embedded = self.encoder.embed_tokens(ids)  # B 77 W
        if not any(chunk.fixes for chunk in chunks):
            return embedded
        embedded = embedded.clone()
        for row, chunk in enumerate(chunks):
            for fix in chunk.fixes:
                start = fix.offset + 1  # behind the start token
                vectors = self.vectors[fix.name][: ids.shape[1] - start]
                embedded[row, start : start + len(vectors)] = vectors.to(embedded)
        return embedded

    def _hidden_layer(self) -> int:
        """Index of the hidden state to use, counted from the end."""
        follows = self.role.clip_skip == "always" or (
            self.role.clip_skip == "on_request" and self.options.sdxl_clip_l_skip
        )
        return (
            -min(max(self.options.clip_skip, 1), self.encoder.layers) if follows else self.role.hidden_layer
        )
