"""A prompt as the text encoder will see it, drawn back onto the text as it was typed.

Styles, comments, tags, prompt editing and brackets all change a prompt before it is cut into chunks. None of
them looks at ordinary letters, so each letter is replaced by a private character that says where it stood;
what comes out at the end tells for each token which part of the typed text it is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from modules.conditioning.chunks import CHUNK_LENGTH, ChunkedText, EmbeddingMatcher, chunk_text
from modules.conditioning.tokenizer import END, ClipTokenizer, clip_tokenizer
from modules.domain.comments import strip_comments
from modules.domain.composition import split_composition
from modules.domain.extra_networks import extract_extra_networks
from modules.domain.prompt import BREAK, WeightedText, parse_attention
from modules.domain.prompt_schedule import prompt_schedule

__all__ = ["PromptMap", "PromptTag", "PromptWord", "map_prompt"]

_FIRST_PRIVATE = 0xF0000  # plane 15 is private use
_MARKED_AT_MOST = 60_000  # characters; that plane has 65,534
_NOWHERE = -1
_TAG = re.compile(r"<(\w+):([^>]+)>")
# what some stage reads as syntax keeps its own characters; its place follows from its neighbours'
_SYNTAX = re.compile(
    r"<\w+:[^>]+>|\b(?:AND|BREAK)\b|:\s*[-+.\deE]+\s*(?=[\])]|\bAND\b|\Z)|[\\()\[\]:|#\s]", re.DOTALL
)


@dataclass(frozen=True)
class PromptWord:
    """One word of the typed text.

    Attributes:
        start, end: its place in the typed text, in characters.
        chunk: number of the chunk that its first token is in, from 0.
        pieces: texts of its tokens; more than one for a word that the model has no token for.
        is_cut: whether it goes on in the next chunk, so that the model reads two halves.
        embedding: name of the textual inversion that it stands for, "" for a word.
    """

    start: int
    end: int
    chunk: int
    pieces: tuple[str, ...]
    is_cut: bool = False
    embedding: str = ""


@dataclass(frozen=True)
class PromptTag:
    """A tag such as ``<lora:name:0.8>`` in the typed text: its place, its kind and the name in it."""

    start: int
    end: int
    kind: str
    name: str


@dataclass(frozen=True)
class PromptMap:
    """What becomes of a prompt; of several texts (prompt editing, ``AND``) the longest.

    Attributes:
        count: tokens; every finished chunk counts as 75.
        limit: tokens that fit into the chunks in use, a multiple of 75.
        sizes: tokens of the prompt in each chunk, 0 to 75.
        words: words of the typed text in order; those that the longest text leaves out are missing.
        tags: tags of the typed text in order.
    """

    count: int
    limit: int
    sizes: tuple[int, ...]
    words: tuple[PromptWord, ...] = ()
    tags: tuple[PromptTag, ...] = ()


@dataclass
class _Walk:
    """Stands between the chunker and the embeddings and notes what the chunker takes, one step a token."""

    embeddings: EmbeddingMatcher | None
    steps: list[tuple[int, int, str]] = field(default_factory=list)  # tokens taken, places filled, embedding

    def match(self, tokens: Sequence[int], position: int) -> tuple[str, int, int] | None:
        found = self.embeddings.match(tokens, position) if self.embeddings else None
        name, vectors, length = found or ("", 1, 1)
        self.steps.append((length, min(vectors, CHUNK_LENGTH), name))
        return found


def map_prompt(
    text: str,
    *,
    steps: int = 20,
    is_negative: bool = False,
    emphasis: str = "Original",
    embeddings: EmbeddingMatcher | None = None,
    tokenizer: ClipTokenizer | None = None,
    comma_padding_backtrack: int = 20,
    styled: Callable[[str], str] = lambda text: text,
) -> PromptMap:
    """Count the tokens of a prompt as it would be encoded, and find where they are in it.

    Args:
        text: a prompt as it was typed.
        steps: sampling steps, for prompt editing.
        is_negative: negative prompts are not split at ``AND``.
        emphasis: with "None" brackets and ``BREAK`` are text.
        embeddings: textual inversions that may be named in the text.
        tokenizer: CLIP's by default.
        comma_padding_backtrack: see :func:`~modules.conditioning.chunks.chunk_text`.
        styled: applies styles to a prompt; their tokens count, but have no place in the typed text.
    """
    tokenizer = tokenizer or clip_tokenizer()
    marked = styled(_marked(text))
    bare, _ = extract_extra_networks(strip_comments(marked) if "#" in marked else marked)
    parts = [bare] if is_negative else [part for part, _ in split_composition(bare)]
    texts = dict.fromkeys(option for part in parts for _, option in prompt_schedule(part, steps))
    readings = []
    for scheduled in texts:
        weighted = ((scheduled, 1.0),) if emphasis == "None" else parse_attention(scheduled)
        pieces = [_Piece.read(piece, text) for piece in weighted]
        walk = _Walk(embeddings)
        chunked = chunk_text(
            (piece.weighted for piece in pieces),
            tokenizer,
            embeddings=walk,
            comma_padding_backtrack=comma_padding_backtrack,
        )
        readings.append((chunked, walk, pieces))
    chunked, walk, pieces = max(readings, key=lambda reading: reading[0].token_count)
    sizes = _sizes(chunked)
    chunk_of = [number for number, size in enumerate(sizes) for _ in range(size)]
    words = {word.start: word for word in _Drawing(chunk_of, tokenizer).words(pieces, walk)}
    tags = (PromptTag(*tag.span(), tag[1], tag[2].partition(":")[0]) for tag in _TAG.finditer(text))
    ordered = tuple(words[start] for start in sorted(words))
    return PromptMap(chunked.token_count, chunked.limit, sizes, ordered, tuple(tags))


def _marked(text: str) -> str:
    """The text with each letter that is no syntax replaced by the character for its place."""
    if len(text) > _MARKED_AT_MOST:
        return text
    marked: list[str] = []
    position = 0
    for syntax in _SYNTAX.finditer(text):
        marked += map(chr, range(_FIRST_PRIVATE + position, _FIRST_PRIVATE + syntax.start()))
        marked.append(syntax.group())
        position = syntax.end()
    marked += map(chr, range(_FIRST_PRIVATE + position, _FIRST_PRIVATE + len(text)))
    return "".join(marked)


@dataclass(frozen=True)
class _Piece:
    """A piece of equal weight: its text, and for each character its place in the typed text."""

    weighted: WeightedText
    places: tuple[int, ...]

    @classmethod
    def read(cls, piece: WeightedText, typed: str) -> "_Piece":
        marked, weight = piece
        places = [
            place if 0 <= (place := ord(character) - _FIRST_PRIVATE) < len(typed) else _NOWHERE
            for character in marked
        ]
        text = "".join(
            character if place == _NOWHERE else typed[place]
            for character, place in zip(marked, places, strict=True)
        )
        _fill_from_neighbours(text, places, typed)
        return cls((text, weight), tuple(places))

    def place_of(self, start: int, end: int) -> tuple[int, int] | None:
        """Where a part of the piece was typed, if it was."""
        known = [place for place in self.places[start:end] if place != _NOWHERE]
        return (min(known), max(known) + 1) if known else None


def _fill_from_neighbours(text: str, places: list[int], typed: str) -> None:
    """Characters that kept their own form stand beside those whose places are known."""
    for direction, order in ((1, range(1, len(text))), (-1, range(len(text) - 2, -1, -1))):
        for index in order:
            beside = places[index - direction]
            wanted = beside + direction
            if (
                places[index] == _NOWHERE
                and beside != _NOWHERE
                and 0 <= wanted < len(typed)
                and typed[wanted] == text[index]
            ):
                places[index] = wanted


def _sizes(chunked: ChunkedText) -> tuple[int, ...]:
    """Tokens in each chunk without what fills it up."""
    sizes = []
    for chunk in chunked.chunks:
        length = CHUNK_LENGTH
        while length and chunk.tokens[length] == END:
            length -= 1
        sizes.append(length)
    return tuple(sizes)


@dataclass(frozen=True)
class _Drawing:
    """Draws the words of some pieces onto the typed text; ``chunk_of`` says which chunk a place is in."""

    chunk_of: Sequence[int]
    tokenizer: ClipTokenizer

    def words(self, pieces: Sequence[_Piece], walk: _Walk) -> Iterator[PromptWord]:
        """The words that were typed, in the order of their tokens."""
        steps = iter(walk.steps)
        filled = 0  # places in the chunks that the tokens so far have taken
        for piece in pieces:
            text, weight = piece.weighted
            total = len(self.tokenizer.encode(text)) if (text, weight) != BREAK else 0
            spans = self.tokenizer.encode_with_spans(text)
            taken = 0
            word: list[tuple[int, int]] = []  # a token's number in the piece and its place in the chunks
            while taken < total:
                length, places, embedding = next(steps)
                word.append((taken, filled))
                taken += length
                filled += places
                if not spans:
                    continue
                if embedding or taken >= total or self.tokenizer.text_of(spans[taken - 1][0]).endswith(" "):
                    yield from self._word(piece, spans[word[0][0] : taken], [at for _, at in word], embedding)
                    word = []

    def _word(
        self, piece: _Piece, spans: Sequence[tuple[int, int, int]], filled: Sequence[int], embedding: str
    ) -> Iterator[PromptWord]:
        place = piece.place_of(spans[0][1], spans[-1][2])
        if place is not None:
            first, last = (self.chunk_of[min(at, len(self.chunk_of) - 1)] for at in (filled[0], filled[-1]))
            texts = [self.tokenizer.text_of(token).strip() for token, _, _ in spans]
            pieces = (embedding,) if embedding else tuple(texts)
            yield PromptWord(*place, first, pieces, first != last, embedding)
