"""Finding the names of embeddings among the tokens of a prompt."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from modules.adapters.textual_inversion import Embedding, EmbeddingSource
from modules.conditioning.tokenizer import ClipTokenizer
from modules.exceptions import AdapterError

__all__ = ["EmbeddingNames", "EncoderShape", "missing_embeddings", "missing_reported_embeddings"]

_EXPLICIT = re.compile(r"\bembedding:([^\s,:|()\[\]<>]+)")  # how ComfyUI's prompts name one


@dataclass(frozen=True)
class EncoderShape:
    """What an embedding must fit: the model's text encoders, in order.

    Attributes:
        keys: what embedding files call them.
        widths: features of each.
    """

    keys: tuple[str, ...]
    widths: tuple[int, ...]


def missing_embeddings(text: str, sources: Iterable[EmbeddingSource]) -> tuple[str, ...]:
    """A sentence for each ``embedding:name`` in a prompt that is not there; a bare word may be but a word."""
    named = {re.sub(r"\.(safetensors|pt|bin)$", "", name) for name in _EXPLICIT.findall(text)}
    known = {name.lower() for source in sources for name in source.names()} if named else set()
    missing = sorted(name for name in named if not any(name.lower().startswith(one) for one in known))
    return tuple(f'There is no embedding "{name}"; its name was taken as plain text.' for name in missing)


def missing_reported_embeddings(reported: str, known: Iterable[str], loras: Iterable[str]) -> tuple[str, ...]:
    """Embeddings that made a picture and are not here, so that their names would be plain words.

    Args:
        reported: the picture's parameter ``TI hashes``, ``name: hash, name: hash``.
        known: embeddings that are here.
        loras: LoRA-like files that are here; one may bring an embedding, whose hash is then its name.
    """
    here, bundles = {name.lower() for name in known}, {name.lower() for name in loras}
    pairs = (entry.rpartition(":") for entry in reported.strip('"').split(","))
    return tuple(
        name.strip()
        for name, _, digest in pairs
        if name.strip() and name.strip().lower() not in here and digest.strip().lower() not in bundles
    )


class EmbeddingNames:
    """Matches token sequences with the names of embeddings that fit one model.

    Names are matched as tokens, so their case does not matter and they may be part of a longer word group.

    Args:
        sources: searched in order; an earlier source wins.
        tokenizer: the model's tokenizer.
        shape: the model's text encoders; None accepts every embedding.
    """

    def __init__(
        self, sources: Sequence[EmbeddingSource], tokenizer: ClipTokenizer, shape: EncoderShape | None = None
    ) -> None:
        self._shape = shape
        self._by_first: dict[int, list[tuple[list[int], str, EmbeddingSource]]] = {}
        self.comments: dict[str, None] = {}
        self.matched: dict[str, Embedding] = {}
        for source in sources:
            for name in source.names():
                if tokens := tokenizer.encode(name):
                    self._by_first.setdefault(tokens[0], []).append((tokens, name, source))
        for candidates in self._by_first.values():
            candidates.sort(key=lambda candidate: len(candidate[0]), reverse=True)

    def match(self, tokens: Sequence[int], position: int) -> tuple[str, int, int] | None:
        """Find the longest name at a position whose embedding fits the model.

        Returns:
            Name, number of vectors, number of tokens of the name; or None.
        """
        for name_tokens, name, source in self._by_first.get(tokens[position], ()):
            length = len(name_tokens)
            if list(tokens[position : position + length]) == name_tokens:
                embedding = self._usable(name, source)
                if embedding is not None:
                    return name, embedding.count, length
        return None

    def vectors(self, encoder: int) -> dict[str, Tensor]:
        """Vectors (N, W) of every embedding matched so far, for one of the model's text encoders."""
        if self._shape is None:
            return {}
        keys, widths = self._shape.keys, self._shape.widths
        found = {name: item.vectors_for(keys, widths) for name, item in self.matched.items()}
        return {name: tensors[encoder] for name, tensors in found.items() if tensors is not None}

    def _usable(self, name: str, source: EmbeddingSource) -> Embedding | None:
        if name in self.matched:
            return self.matched[name]
        try:
            embedding = source.get(name)
        except AdapterError as error:
            self.comments[f"Embedding not used: {error}"] = None
            return None
        shape = self._shape
        if shape is not None and embedding.vectors_for(shape.keys, shape.widths) is None:
            self.comments[
                f'Embedding "{name}" is for another kind of model (vectors of {embedding.width} numbers, '
                f"this model's {sum(shape.widths)}) and was taken as plain text."
            ] = None
            return None
        self.matched[name] = embedding
        return embedding
