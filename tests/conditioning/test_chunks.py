import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from modules.conditioning.chunks import EMPTY_CHUNK, ChunkedText, EmbeddingFix, chunk_text
from modules.conditioning.tokenizer import COMMA, END, START, clip_tokenizer
from modules.domain.prompt import BREAK, parse_attention

UNITS = Path(__file__).parents[1] / "golden" / "units"


class Names:
    """Embeddings by name with their number of vectors."""

    def __init__(self, vectors: dict[str, int]) -> None:
        self.names = {tuple(clip_tokenizer().encode(name)): (name, count) for name, count in vectors.items()}

    def match(self, tokens: Sequence[int], position: int) -> tuple[str, int, int] | None:
        for ids, (name, count) in sorted(self.names.items(), key=lambda entry: -len(entry[0])):
            if tuple(tokens[position : position + len(ids)]) == ids:
                return name, count, len(ids)
        return None


def chunked(text: str, embeddings: Names | None = None, comma_padding_backtrack: int = 20) -> ChunkedText:
    return chunk_text(
        parse_attention(text),
        clip_tokenizer(),
        embeddings=embeddings,
        comma_padding_backtrack=comma_padding_backtrack,
    )


def test_every_recorded_prompt_has_the_references_tokens_weights_and_embeddings() -> None:
    embeddings = Names({"tinyti": 3, "tinyst": 6})
    sizes = {"tinyti": 3, "tinyst": 6}
    for case in json.loads((UNITS / "tokenize_sd1.json").read_text()):
        result = chunked(case["prompt"], embeddings=embeddings)
        assert result.token_count == case["token_count"], case["prompt"]
        assert [
            {
                "tokens": list(chunk.tokens),
                "multipliers": list(chunk.multipliers),
                "fixes": [[fix.offset, fix.name, sizes[fix.name]] for fix in chunk.fixes],
            }
            for chunk in result.chunks
        ] == case["chunks"], case["prompt"]


def test_an_empty_prompt_is_one_empty_chunk() -> None:
    result = chunked("")
    assert result.chunks == (EMPTY_CHUNK,)
    assert (result.token_count, result.limit) == (0, 75)


def test_a_full_chunk_breaks_after_a_near_comma() -> None:
    result = chunked("cat " * 70 + "," + " dog" * 9)
    first, second = result.chunks
    assert first.tokens[71] == COMMA
    assert first.tokens[72:] == (END,) * 5
    assert second.tokens[:2] == (START, clip_tokenizer().encode("dog")[0])
    assert result.token_count == 75 + 9


@pytest.mark.parametrize(("commas_back", "backtrack"), [(5, 0), (21, 20), (6, 5)])
def test_a_comma_too_far_back_does_not_break_the_chunk(commas_back: int, backtrack: int) -> None:
    text = "cat " * (75 - commas_back) + "," + " dog" * (commas_back + 5)
    first, _ = chunked(text, comma_padding_backtrack=backtrack).chunks
    assert END not in first.tokens[:76]


def test_moved_tokens_keep_their_weights() -> None:
    _, second = chunked("cat " * 70 + ", (dog dog dog dog dog dog:1.5)").chunks
    assert second.multipliers[:8] == (1.0, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.0)


def test_break_fills_the_chunk_even_an_empty_one() -> None:
    result = chunk_text([BREAK, BREAK, ("cat", 1.0)], clip_tokenizer())
    assert result.chunks[:2] == (EMPTY_CHUNK, EMPTY_CHUNK)
    assert result.token_count == 151


def test_an_embedding_that_does_not_fit_starts_a_new_chunk() -> None:
    result = chunked("cat " * 73 + "tinyti dog", embeddings=Names({"tinyti": 3}))
    assert [chunk.fixes for chunk in result.chunks] == [(), (EmbeddingFix(0, "tinyti"),)]
    assert result.token_count == 75 + 4


def test_an_embedding_longer_than_a_chunk_takes_one_whole_chunk() -> None:
    result = chunked("tinyti dog", embeddings=Names({"tinyti": 90}))
    assert [len(chunk.tokens) for chunk in result.chunks] == [77, 77]


def test_embedding_names_match_in_any_case() -> None:
    assert chunked("TinyTI", embeddings=Names({"tinyti": 3})).chunks[0].fixes == (EmbeddingFix(0, "tinyti"),)


@pytest.mark.parametrize("text", ["cat", "cat " * 75, "cat " * 76, "a BREAK b"])
def test_the_limit_is_the_next_multiple_of_75(text: str) -> None:
    result = chunked(text)
    assert result.limit == 75 * len(result.chunks)
    assert all(len(chunk.tokens) == len(chunk.multipliers) == 77 for chunk in result.chunks)
