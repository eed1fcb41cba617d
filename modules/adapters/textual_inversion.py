"""Textual inversion: words that stand for trained vectors.

Source: Gal et al. 2022, "An Image is Worth One Word: Personalizing Text-to-Image Generation using Textual
Inversion".
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from torch import Tensor

from modules.adapters.embedding_files import (
    EMBEDDING_SUFFIXES,
    IMAGE_SUFFIXES,
    EmbeddingContent,
    content_of_tree,
    read_embedding_image,
)
from modules.checkpoints.files import ModelStore
from modules.checkpoints.reader import MappedWeights
from modules.exceptions import AdapterError, CheckpointError

__all__ = ["Embedding", "EmbeddingCatalog", "EmbeddingSource"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Embedding:
    """Vectors under a name.

    Attributes:
        name: the word in prompts.
        content: vectors and what the file says of them.
        shorthash: first 12 digits of the file's SHA-256; of vectors that came inside a LoRA, the LoRA's name.
        is_bundled: whether they did.
    """

    name: str
    content: EmbeddingContent
    shorthash: str = ""
    is_bundled: bool = False

    @property
    def count(self) -> int:
        """Number of vectors, which is the number of token positions they take."""
        return min(len(vectors) for vectors in self.content.vectors.values())

    @property
    def width(self) -> int:
        """Features of a vector, those for all text encoders together."""
        return sum(vectors.shape[1] for vectors in self.content.vectors.values())

    def vectors_for(self, keys: Sequence[str], widths: Sequence[int]) -> tuple[Tensor, ...] | None:
        """Vectors for each text encoder of a model.

        Args:
            keys: what files call the encoders, e.g. ``clip_l``.
            widths: features of each encoder.

        Returns:
            One tensor (N, W) for each encoder, or None if the embedding was made for another model.
        """
        vectors = self.content.vectors
        if len(keys) == 1 and len(vectors) == 1:
            found = tuple(vectors.values())
        elif set(keys) == set(vectors):
            found = tuple(vectors[key] for key in keys)
        else:
            return None
        fits = all(tensor.shape[1] == width for tensor, width in zip(found, widths, strict=True))
        return found if fits else None


class EmbeddingSource(Protocol):
    """Somewhere embeddings come from."""

    @property
    def version(self) -> int:
        """Changes whenever an embedding is added, changed or removed."""
        ...

    def names(self) -> tuple[str, ...]:
        """Every name there is."""
        ...

    def get(self, name: str) -> Embedding:
        """Load one.

        Raises:
            AdapterError: its file cannot be used.
        """
        ...


@dataclass
class _File:
    path: Path
    changed: int  # mtime in nanoseconds
    embedding: Embedding | None = None
    error: AdapterError | None = field(default=None)


class EmbeddingCatalog:
    """All embeddings in some folders and their sub-folders, loaded when a prompt names them.

    Args:
        folders: searched in order; a later file of the same name wins.
        store: reads pickled files and remembers hashes.
    """

    def __init__(self, folders: Sequence[Path], store: ModelStore) -> None:
        self._folders = tuple(folders)
        self._store = store
        self._files: dict[str, _File] = {}
        self._images: dict[Path, tuple[int, EmbeddingContent | None]] = {}
        self._version = 0
        self._lock = threading.RLock()
        self.refresh()

    @property
    def version(self) -> int:
        """Changes whenever an embedding is added, changed or removed."""
        return self._version

    def names(self) -> tuple[str, ...]:
        """Names of all embeddings, sorted."""
        return tuple(sorted(self._files))

    def path(self, name: str) -> Path:
        """Where an embedding's file is.

        Raises:
            KeyError: there is no such embedding.
        """
        return self._files[name].path

    def refresh(self) -> None:
        """Look for new, changed and removed files; cheap enough to be done before every job."""
        with self._lock:
            found: dict[str, _File] = {}
            for path in self._candidates():
                changed = path.stat().st_mtime_ns
                name = self._name(path, changed)
                if name is not None:
                    known = self._files.get(name)
                    same = known is not None and (known.path, known.changed) == (path, changed)
                    found[name] = known if same and known is not None else _File(path, changed)
            if found != self._files:
                self._files = found
                self._version += 1

    def get(self, name: str) -> Embedding:
        """Load an embedding; a file is read only once until it changes.

        Raises:
            AdapterError: its file cannot be used.
            KeyError: there is no such embedding.
        """
        with self._lock:
            file = self._files[name]
            if file.error is not None:
                raise file.error
            if file.embedding is None:
                try:
                    file.embedding = self._load(name, file.path)
                except AdapterError as error:
                    file.error = error
                    raise
            return file.embedding

    def _candidates(self) -> Iterator[Path]:
        for folder in self._folders:
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() in EMBEDDING_SUFFIXES and path.is_file() and path.stat().st_size:
                    yield path

    def _name(self, path: Path, changed: int) -> str | None:
        """The file's stem; a picture may store another name, and most pictures are previews."""
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            return path.stem
        if path.stem.lower().endswith(".preview"):
            return None
        if self._images.get(path, (0, None))[0] != changed:
            try:
                self._images[path] = (changed, read_embedding_image(path))
            except AdapterError as error:
                log.warning("%s", error)
                self._images[path] = (changed, None)
        content = self._images[path][1]
        return None if content is None else content.name or path.stem

    def _load(self, name: str, path: Path) -> Embedding:
        try:
            return Embedding(name, self._content(path), (self._store.sha256(path) or "")[:12])
        except CheckpointError as error:
            raise AdapterError(path, str(error).removeprefix(f"{path.name}: ")) from error

    def _content(self, path: Path) -> EmbeddingContent:
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            content = self._images[path][1]
            if content is None:
                raise AdapterError(path, "holds no embedding any more")
            return content
        if suffix == ".safetensors":
            weights = MappedWeights(path)
            return content_of_tree(path, {key: weights.tensor(key).clone() for key in weights})
        return content_of_tree(path, self._store.gate.tree(path))
