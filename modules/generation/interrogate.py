"""From a picture to a prompt: a caption with the best words of lists (CLIP), or tags (DeepDanbooru).

Source: the methods are A1111's; the caption is BLIP's (Li et al. 2022, arXiv:2201.12086), words are ranked by
CLIP (Radford et al. 2021, arXiv:2103.00020).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from modules.checkpoints.describers import CAPTIONER, RANKER, TAGGER, Describer, Describers
from modules.conditioning.tokenizer import END, START, clip_tokenizer
from modules.exceptions import NotFoundError
from modules.generation.turns import Turns
from modules.settings.options import Settings

__all__ = ["METHODS", "Interrogator"]

METHODS: dict[str, Describer] = {
    "clip": CAPTIONER,
    "deepdanbooru": TAGGER,
    "deepbooru": TAGGER,  # as the page and Loopback call it
}
"""Names of the methods in lower case, and the network that each cannot do without."""

POSITIONS = 77  # of CLIP's text encoder
_TOP = re.compile(r"(.*)\.top(\d{1,3})\Z", re.DOTALL)
_BRACKETS = re.compile(r"([\\()])")


@dataclass(frozen=True)
class _Category:
    """A list of words of which the best are taken."""

    name: str
    top: int
    words: tuple[str, ...]


class Interrogator:
    """Describes pictures; safe between threads.

    Args:
        describers: the networks.
        folder: of word lists, one ``.txt`` a category; ``name.top3.txt`` gives three words instead of one.
    """

    def __init__(self, describers: Describers, folder: Path) -> None:
        self._describers = describers
        self._folder = folder
        self._turns = Turns("Too many pictures wait to be described. Try again soon.")
        self._features: dict[tuple[str, ...], Tensor] = {}

    def missing(self, method: str) -> str | None:
        """What has to be put where before a method can be used, as a sentence; None when it can.

        Raises:
            NotFoundError: there is no such method.
        """
        return self._describers.missing(_known(method))

    def describe(self, image: Image.Image, method: str, settings: Settings) -> str:
        """What a picture shows, as a prompt.

        Args:
            image: any mode.
            method: one of :data:`METHODS`, in any case.
            settings: options in force.

        Raises:
            NotFoundError: there is no such method, or its network is not installed.
            CheckpointError: its files cannot be used.
            QueueFullError: too many callers wait.
        """
        describer = _known(method)
        missing = self._describers.missing(describer)
        if missing is not None:
            raise NotFoundError("model", missing)
        with self._turns.take():
            try:
                if describer is TAGGER:
                    return _tag_list(self._describers.tags(image), settings)
                return ", ".join([self._caption(image, settings), *self._best_words(image, settings)])
            finally:
                if not settings.interrogate_keep_models_in_memory:
                    self._describers.forget()

    def categories(self) -> tuple[str, ...]:
        """Names of the word lists."""
        return tuple(dict.fromkeys(_parts(path)[0] for path in self._lists()))

    def _caption(self, image: Image.Image, settings: Settings) -> str:
        return self._describers.caption(
            image,
            beams=settings.interrogate_clip_num_beams,
            least=settings.interrogate_clip_min_length,
            most=settings.interrogate_clip_max_length,
        )

    def _best_words(self, image: Image.Image, settings: Settings) -> list[str]:
        """The best words of each list, in the order of the lists; none where CLIP is not installed."""
        lists = [_read(path, int(settings.interrogate_clip_dict_limit)) for path in self._lists()]
        wanted = [
            each
            for each in lists
            if each.words and each.name not in settings.interrogate_clip_skip_categories
        ]
        if not wanted or self._describers.missing(RANKER) is not None:
            return []
        seen, found = self._describers.image_features(image), list[str]()
        for category in wanted:
            chances = (100.0 * seen @ self._text_features(category.words).T).softmax(dim=-1)[0]
            best = chances.topk(min(category.top, len(category.words)))
            for chance, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                word = category.words[place]
                found.append(f"({word}:{chance:.3f})" if settings.interrogate_return_ranks else word)
        return found

    def _text_features(self, words: tuple[str, ...]) -> Tensor:
        if words not in self._features:
            self._features[words] = self._describers.text_features(_tokens(words))
        return self._features[words]

    def _lists(self) -> tuple[Path, ...]:
        return tuple(sorted(self._folder.glob("*.txt")))


def _known(method: str) -> Describer:
    try:
        return METHODS[method.lower()]
    except KeyError:
        raise NotFoundError("model", "Model not found") from None  # A1111's words


def _parts(path: Path) -> tuple[str, int]:
    """Category of a file and how many of its words are taken."""
    match = _TOP.match(path.stem)
    return (path.stem, 1) if match is None else (match[1], max(1, int(match[2])))


def _read(path: Path, limit: int) -> _Category:
    name, top = _parts(path)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    words = tuple(line.strip() for line in (lines[:limit] if limit > 0 else lines) if line.strip())
    return _Category(name, top, words)


def _tokens(words: Iterable[str]) -> Tensor:
    """(N, 77): each text between start and end token, filled up with zeros as CLIP's own tokenizer does."""
    tokenizer, rows = clip_tokenizer("clip"), []
    for word in words:
        row = [START, *tokenizer.encode(word)[: POSITIONS - 2], END]
        rows.append(row + [0] * (POSITIONS - len(row)))
    return torch.tensor(rows)


def _tag_list(chances: dict[str, float], settings: Settings) -> str:
    left_out = {tag.strip().replace(" ", "_") for tag in settings.deepbooru_filter_tags.split(",")}
    least = settings.interrogate_deepbooru_score_threshold
    found = {
        tag: chance
        for tag, chance in chances.items()
        if chance >= least and not tag.startswith("rating:") and tag not in left_out
    }
    order = sorted(found) if settings.deepbooru_sort_alpha else sorted(found, key=lambda tag: -found[tag])
    texts = []
    for tag in order:
        text = tag.replace("_", " ") if settings.deepbooru_use_spaces else tag
        text = _BRACKETS.sub(r"\\\1", text) if settings.deepbooru_escape else text
        texts.append(f"({text}:{found[tag]:.3f})" if settings.interrogate_return_ranks else text)
    return ", ".join(texts)
