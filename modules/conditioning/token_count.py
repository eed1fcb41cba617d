"""How many tokens a prompt has, for the counter beside it."""

from dataclasses import dataclass

from modules.conditioning.chunks import CHUNK_LENGTH, ChunkedText, EmbeddingMatcher, chunk_text
from modules.conditioning.tokenizer import ClipTokenizer, clip_tokenizer
from modules.domain.comments import strip_comments
from modules.domain.composition import split_composition
from modules.domain.extra_networks import extract_extra_networks
from modules.domain.prompt import parse_attention
from modules.domain.prompt_schedule import prompt_schedule

__all__ = ["TokenCount", "count_tokens"]


@dataclass(frozen=True)
class TokenCount:
    """Size of the longest text that a prompt becomes.

    Attributes:
        count: tokens; every finished chunk counts as 75.
        limit: tokens that fit into the chunks in use, a multiple of 75.
        chunks: text of each chunk's tokens; an embedding shows as its name.
    """

    count: int
    limit: int
    chunks: tuple[tuple[str, ...], ...]


def _readable(chunked: ChunkedText, tokenizer: ClipTokenizer) -> tuple[tuple[str, ...], ...]:
    result = []
    rest = chunked.token_count
    for chunk in chunked.chunks:
        length = min(rest, CHUNK_LENGTH)
        rest -= length
        starts = {fix.offset: fix.name for fix in chunk.fixes}
        texts = [
            starts.get(offset) or ("" if token == 0 else tokenizer.text_of(token))
            for offset, token in enumerate(chunk.tokens[1 : length + 1])
        ]
        result.append(tuple(text for text in texts if text and text != tokenizer.end_text))
    return tuple(result)


def count_tokens(
    text: str,
    *,
    steps: int = 20,
    is_negative: bool = False,
    emphasis: str = "Original",
    embeddings: EmbeddingMatcher | None = None,
    tokenizer: ClipTokenizer | None = None,
    comma_padding_backtrack: int = 20,
) -> TokenCount:
    """Count the tokens of a prompt as it would be encoded; the longest scheduled text counts.

    Args:
        text: a prompt with styles applied.
        steps: sampling steps, for prompt editing.
        is_negative: negative prompts are not split at ``AND``.
        emphasis: with "None" brackets and ``BREAK`` are text.
        embeddings: textual inversions that may be named in the text.
        tokenizer: CLIP's by default.
        comma_padding_backtrack: see :func:`~modules.conditioning.chunks.chunk_text`.
    """
    tokenizer = tokenizer or clip_tokenizer()
    text, _ = extract_extra_networks(strip_comments(text) if "#" in text else text)
    parts = [text] if is_negative else [part for part, _ in split_composition(text)]
    texts = dict.fromkeys(scheduled for part in parts for _, scheduled in prompt_schedule(part, steps))
    counted = [
        chunk_text(
            ((scheduled, 1.0),) if emphasis == "None" else parse_attention(scheduled),
            tokenizer,
            embeddings=embeddings,
            comma_padding_backtrack=comma_padding_backtrack,
        )
        for scheduled in texts
    ]
    longest = max(counted, key=lambda chunked: chunked.token_count)
    return TokenCount(longest.token_count, longest.limit, _readable(longest, tokenizer))
