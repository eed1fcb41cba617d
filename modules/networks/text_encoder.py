"""What conditioning needs of a text encoder, whichever architecture it has."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

__all__ = ["TextEncoder", "TextStates"]


@dataclass(frozen=True)
class TextStates:
    """All that a text encoder computes.

    Attributes:
        hidden: ``layers + 1`` tensors (B, 77, W): the input of the first layer (embeddings plus
            positions), then the output of each layer, all before the final layer norm.
        pooled: projected state at the end token, (B, P); None where the encoder has no projection.
    """

    hidden: tuple[Tensor, ...]
    pooled: Tensor | None


class TextEncoder(Protocol):
    """A transformer over token embeddings.

    Attributes:
        width: features of a state.
        layers: number of transformer layers.
        positions: length of every sequence, start and end token included.
        pad_token: id that fills a sequence after its first end token.
    """

    width: int
    layers: int
    positions: int
    pad_token: int

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Token ids (B, 77) int64 to embeddings (B, 77, W), without positions."""
        ...

    def __call__(self, embeddings: Tensor, ids: Tensor) -> TextStates:
        """Embeddings (B, 77, W) to states; the ids only say where the end token is."""
        ...

    def normalise(self, hidden: Tensor) -> Tensor:
        """The final layer norm of a hidden state (B, 77, W)."""
        ...
