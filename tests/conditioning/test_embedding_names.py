from pathlib import Path

import pytest
import torch

from modules.adapters.embedding_files import EmbeddingContent
from modules.adapters.textual_inversion import Embedding
from modules.conditioning.embedding_names import (
    EmbeddingNames,
    EncoderShape,
    missing_embeddings,
    missing_reported_embeddings,
)
from modules.conditioning.tokenizer import clip_tokenizer
from modules.exceptions import AdapterError

SD1 = EncoderShape(("clip_l",), (8,))


class Source:
    """Embeddings of given widths with two vectors each; width 0 stands for a damaged file."""

    def __init__(self, widths: dict[str, int], value: float = 0.0) -> None:
        self.widths = widths
        self.value = value
        self.version = 0

    def names(self) -> tuple[str, ...]:
        return tuple(self.widths)

    def get(self, name: str) -> Embedding:
        if not self.widths[name]:
            raise AdapterError(Path(f"{name}.pt"), "is damaged")
        vectors = torch.full((2, self.widths[name]), self.value)
        return Embedding(name, EmbeddingContent({"": vectors}), "hash")


def test_the_longest_name_wins() -> None:
    names = EmbeddingNames([Source({"easy": 8, "easy negative": 8})], clip_tokenizer(), SD1)
    tokens = clip_tokenizer().encode("an easy negative thing")
    assert names.match(tokens, 1) == ("easy negative", 2, 2)
    assert names.match(clip_tokenizer().encode("easy going"), 0) == ("easy", 2, 1)
    assert names.match(tokens, 0) is None


def test_a_longer_name_that_does_not_fit_gives_way_to_a_shorter_one() -> None:
    names = EmbeddingNames([Source({"easy": 8, "easy negative": 9})], clip_tokenizer(), SD1)
    assert names.match(clip_tokenizer().encode("easy negative"), 0) == ("easy", 2, 1)
    (comment,) = names.comments
    assert comment.startswith('Embedding "easy negative" is for another kind of model')


def test_a_damaged_embedding_is_reported_and_taken_as_text() -> None:
    names = EmbeddingNames([Source({"easy": 0})], clip_tokenizer(), SD1)
    assert names.match(clip_tokenizer().encode("easy"), 0) is None
    assert tuple(names.comments) == ("Embedding not used: easy.pt: is damaged",)


def test_an_earlier_source_wins_and_its_vectors_are_used() -> None:
    names = EmbeddingNames([Source({"easy": 8}, 1.0), Source({"easy": 8}, 2.0)], clip_tokenizer(), SD1)
    names.match(clip_tokenizer().encode("easy"), 0)
    assert names.vectors(0)["easy"].eq(1).all()


def test_without_a_model_every_embedding_matches() -> None:
    names = EmbeddingNames([Source({"easy": 5})], clip_tokenizer())
    assert names.match(clip_tokenizer().encode("EASY"), 0) == ("easy", 2, 1)
    assert names.vectors(0) == {}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("a cat, embedding:Good", ()),
        ("embedding:good.safetensors, (embedding:gone:1.2) [embedding:lost]", ("gone", "lost")),
        ("an embedding: of things", ()),
        ("embedding:goodness", ()),  # the name is found inside the word, as everywhere
        ("gone", ()),
    ],
)
def test_only_what_calls_itself_an_embedding_can_be_missed(text: str, missing: tuple[str, ...]) -> None:
    sentences = missing_embeddings(text, [Source({"good": 16})])
    assert [sentence.split('"')[1] for sentence in sentences] == list(missing)


@pytest.mark.parametrize(
    ("reported", "missing"),
    [
        ("", ()),
        ("good: 1234567890ab", ()),
        ('"Good: 1234567890ab, gone: 1234567890ab"', ("gone",)),
        ("inside: pack, lost: other", ("lost",)),
    ],
)
def test_embeddings_that_made_a_picture_are_missed_unless_a_lora_brings_them(
    reported: str, missing: tuple[str, ...]
) -> None:
    assert missing_reported_embeddings(reported, ["good"], ["Pack"]) == missing
