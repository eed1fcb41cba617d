"""CLIP's byte-pair tokenizer, with its vocabulary in this package.

Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision";
Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units".
"""

import gzip
import html
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import ftfy
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as Steps

__all__ = ["COMMA", "END", "START", "ClipTokenizer", "TokenizerFlavour", "clip_tokenizer"]

START = 49406
END = 49407
COMMA = 267  # "," at the end of a word

TokenizerFlavour = Literal["clip", "open_clip"]
"""Whose text cleaning: OpenAI's CLIP as in transformers, or OpenCLIP's, which also undoes HTML escapes."""

_MERGES = Path(__file__).with_name("clip_bpe_merges.txt.gz")
_END_OF_WORD = "</w>"
_SPECIAL_TEXT: dict[TokenizerFlavour, tuple[str, str]] = {
    "clip": ("<|startoftext|>", "<|endoftext|>"),
    "open_clip": ("<start_of_text>", "<end_of_text>"),
}
_WORD = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


@cache
def _byte_characters() -> dict[str, int]:
    """One printable character for each byte, in the order of the vocabulary.

    Printable bytes of Latin-1 stand for themselves, the others for the characters from 256 on.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in set(printable)]
    characters = {chr(byte): byte for byte in printable}
    return characters | {chr(256 + index): byte for index, byte in enumerate(rest)}


@cache
def _merges() -> tuple[tuple[str, str], ...]:
    lines = gzip.decompress(_MERGES.read_bytes()).decode("utf-8").splitlines()
    return tuple((left, right) for left, _, right in (line.partition(" ") for line in lines))


def _vocabulary(special: Sequence[str]) -> dict[str, int]:
    """Characters, characters that end a word, merged pairs, start and end: 49,408 in all."""
    characters = list(_byte_characters())
    ends = [character + _END_OF_WORD for character in characters]
    pairs = [left + right for left, right in _merges()]
    return {text: index for index, text in enumerate([*characters, *ends, *pairs, *special])}


class ClipTokenizer:
    """Splits text into CLIP tokens; see :func:`clip_tokenizer`.

    Attributes:
        flavour: whose cleaning of the text is followed.
        size: number of tokens in the vocabulary.
        end_text: how the end token is written.
    """

    def __init__(self, flavour: TokenizerFlavour = "clip") -> None:
        self.flavour = flavour
        special = _SPECIAL_TEXT[flavour]
        vocabulary = _vocabulary(special)
        self.size = len(vocabulary)
        self.end_text = special[1]
        self._texts = tuple(vocabulary)
        model = BPE(vocabulary, list(_merges()), end_of_word_suffix=_END_OF_WORD, unk_token=special[1])
        self._tokenizer = Tokenizer(model)
        self._tokenizer.pre_tokenizer = Steps(
            [
                Split(Regex(_WORD), behavior="removed", invert=True),
                ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        self._tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in special])

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without start and end token and without a limit."""
        ids: list[int] = self._tokenizer.encode(self.clean(text), add_special_tokens=False).ids
        return ids

    def encode_with_spans(self, text: str) -> list[tuple[int, int, int]]:
        """Token ids of a text, each with the start and the end of what it stands for in ``text``.

        Where cleaning changes the length of a word, its tokens stand for the whole word. Empty if the words
        of the text alone do not give its tokens, which only a repair across words can cause.
        """
        found: list[tuple[int, int, int]] = []
        for word in re.finditer(r"\S+", text):
            cleaned = self.clean(word.group())
            encoding = self._tokenizer.encode(cleaned, add_special_tokens=False)
            exact = len(cleaned) == len(word.group())
            found += [
                (token, word.start() + (start if exact else 0), word.start() + end if exact else word.end())
                for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
            ]
        return found if [token for token, _, _ in found] == self.encode(text) else []

    def clean(self, text: str) -> str:
        """Repair broken Unicode, join blanks, lower the case."""
        text = ftfy.fix_text(text)
        if self.flavour == "open_clip":
            text = html.unescape(html.unescape(text))
        return " ".join(text.split()).lower()

    def text_of(self, token: int) -> str:
        """What a token stands for, for people to read; a word's last token ends with a blank."""
        text = self._texts[token]
        if token in {START, END}:
            return text
        stem = text.removesuffix(_END_OF_WORD)
        characters = _byte_characters()
        readable = bytes(characters[character] for character in stem).decode("utf-8", errors="replace")
        return f"{readable} " if stem != text else readable


@cache
def clip_tokenizer(flavour: TokenizerFlavour = "clip") -> ClipTokenizer:
    """Return the tokenizer, built at the first call; it never changes and may be used by any thread."""
    return ClipTokenizer(flavour)
