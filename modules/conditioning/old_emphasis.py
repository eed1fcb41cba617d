"""Emphasis as A1111 had it at first, kept to reproduce old pictures.

There is no grammar: a token made of brackets multiplies the weight of all that follows, ``(`` by 1.1,
``[`` by 1/1.1, and their closing brackets undo it. Everything after 75 tokens is cut off.
"""

from functools import cache

from modules.conditioning.chunks import CHUNK_LENGTH, Chunk, ChunkedText, EmbeddingFix, EmbeddingMatcher
from modules.conditioning.tokenizer import END, START, ClipTokenizer, clip_tokenizer

__all__ = ["chunk_text_by_tokens"]


@cache
def _bracket_factors() -> dict[int, float]:
    """What each token with brackets multiplies by; tokens whose brackets cancel are plain text."""
    tokenizer = clip_tokenizer()
    factors = {}
    for token in range(tokenizer.size):
        factor = 1.0
        for character in tokenizer.text_of(token):
            if character in "(]":
                factor *= 1.1
            elif character in ")[":
                factor /= 1.1
        if factor != 1.0:
            factors[token] = factor
    return factors


def chunk_text_by_tokens(
    text: str,
    tokenizer: ClipTokenizer,
    *,
    embeddings: EmbeddingMatcher | None = None,
    emphasised: bool = True,
) -> tuple[ChunkedText, str]:
    """Tokenise a text into one chunk.

    Args:
        text: a scheduled text.
        tokenizer: the model's tokenizer.
        embeddings: textual inversions that may be named in the text.
        emphasised: false keeps brackets as tokens.

    Returns:
        The chunk and the text that was cut off, empty if all fitted.
    """
    encoded = tokenizer.encode(text)
    tokens: list[int] = []
    multipliers: list[float] = []
    fixes: list[EmbeddingFix] = []
    weight = 1.0
    position = 0
    while position < len(encoded):
        found = embeddings.match(encoded, position) if embeddings else None
        factor = _bracket_factors().get(encoded[position]) if emphasised else None
        if factor is not None:
            weight *= factor
            position += 1
        elif found is None:
            tokens.append(encoded[position])
            multipliers.append(weight)
            position += 1
        else:
            name, vectors, length = found
            fixes.append(EmbeddingFix(len(tokens), name))
            tokens += [0] * vectors
            multipliers += [weight] * vectors
            position += length
    missing = max(CHUNK_LENGTH - len(tokens), 0)
    chunk = Chunk(
        (START, *tokens[:CHUNK_LENGTH], *[END] * (missing + 1)),
        (1.0, *multipliers[:CHUNK_LENGTH], *[1.0] * (missing + 1)),
        tuple(fix for fix in fixes if fix.offset < CHUNK_LENGTH),
    )
    cut = "".join(map(tokenizer.text_of, tokens[CHUNK_LENGTH:])).strip()
    return ChunkedText((chunk,), len(tokens)), cut
