"""What a card of a model shows, and what its user notes on it: in A1111's files beside the model."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from modules.adapters.network_catalog import NetworkCatalog, NetworkFile
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.exceptions import NotFoundError
from modules.imaging.files import write_replacing

__all__ = ["CARD_KINDS", "CardKind", "NetworkCard", "NetworkCards", "training_tags"]

log = logging.getLogger(__name__)

CardKind = Literal["textual_inversion", "lora", "hypernetwork", "checkpoint"]
CARD_KINDS: tuple[CardKind, ...] = get_args(CardKind)

PREVIEW_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif")
MAX_NOTES = 2**20  # bytes of a note file that are read
MAX_TAGS = 60  # training tags that are worth showing
VERSIONS = {"SD1": "sd1", "SD2": "sd2", "SDXL": "sdxl"}  # what A1111's editor writes -> ours


@dataclass(frozen=True)
class NetworkCard:
    """One model as its card shows it.

    Attributes:
        kind: which tab it is on.
        name: by which it is found; unique within its kind.
        called: what a prompt calls it; of a checkpoint its title.
        path: the file, or the folder of a diffusers checkpoint.
        folder: the folder below its kind's root, "" for the root, with "/" between parts.
        version: "sd1", "sd2", "sdxl", or "" if neither the file nor the user says.
        created, modified: seconds since 1970; size: bytes.
        preview: when its preview was changed, in seconds since 1970; None without a preview.
        notes: the user's notes, as they are in the ``.json`` file.
    """

    kind: CardKind
    name: str
    called: str
    path: Path
    folder: str
    version: str = ""
    created: float = 0.0
    modified: float = 0.0
    size: int = 0
    preview: float | None = None
    notes: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_hidden(self) -> bool:
        """Whether it lies in a folder whose name begins with a dot."""
        return any(part.startswith(".") for part in self.folder.split("/"))


@dataclass(frozen=True)
class _Source:
    """A model before its folder was looked at."""

    name: str
    called: str
    path: Path
    version: str = ""


class _Folders:
    """Directory listings, each read once."""

    def __init__(self) -> None:
        self._listings: dict[Path, dict[str, os.stat_result]] = {}

    def stat(self, path: Path) -> os.stat_result | None:
        """What a file is, None if there is none."""
        return self.listing(path.parent).get(path.name)

    def listing(self, folder: Path) -> dict[str, os.stat_result]:
        """Names in a folder."""
        if folder not in self._listings:
            try:
                with os.scandir(folder) as entries:
                    self._listings[folder] = {entry.name: entry.stat() for entry in entries}
            except OSError:
                self._listings[folder] = {}
        return self._listings[folder]

    def preview(self, path: Path) -> Path | None:
        """The newest picture beside a model: ``name.png`` or ``name.preview.png`` and the like."""
        stem = _stem(path)
        found = [
            (stat.st_mtime, path.with_name(name))
            for suffix in PREVIEW_SUFFIXES
            for name in (f"{stem}{suffix}", f"{stem}.preview{suffix}")
            if (stat := self.listing(path.parent).get(name)) is not None
        ]
        return max(found)[1] if found else None


class NetworkCards:
    """Cards of all models, read from the catalogs and the folders when they are asked for.

    A model is found only through the catalogs: no text of a request ever becomes a path.

    Args:
        roots: folders below which each kind lies, for the tree of folders.
    """

    def __init__(
        self,
        networks: NetworkCatalog,
        embeddings: EmbeddingCatalog,
        checkpoints: ModelCatalog,
        roots: Iterable[Path],
    ) -> None:
        self._networks = networks
        self._embeddings = embeddings
        self._checkpoints = checkpoints
        self._roots = tuple(sorted({*roots, *networks.folders}, key=lambda root: -len(root.parts)))
        self._notes: dict[Path, tuple[float, Mapping[str, object]]] = {}

    def refresh(self) -> None:
        """Look at all folders again."""
        self._networks.refresh()
        self._embeddings.refresh()
        self._checkpoints.refresh()

    def cards(self, kind: CardKind, *, prefer_alias: bool = True) -> tuple[NetworkCard, ...]:
        """All cards of one kind."""
        folders = _Folders()
        return tuple(self._card(kind, source, folders) for source in self._sources(kind, prefer_alias))

    def card(self, kind: CardKind, name: str) -> NetworkCard:
        """One card.

        Raises:
            NotFoundError: there is no such model.
        """
        for source in self._sources(kind, prefer_alias=True):
            if source.name == name:
                return self._card(kind, source, _Folders())
        raise NotFoundError("name", f"there is no {kind.replace('_', ' ')} {name[:100]!r}")

    def preview(self, kind: CardKind, name: str) -> Path:
        """The picture on a card.

        Raises:
            NotFoundError: there is no such model, or no picture beside it.
        """
        found = _Folders().preview(self.card(kind, name).path)
        if found is None:
            raise NotFoundError("name", "this model has no preview")
        return found

    def metadata(self, kind: CardKind, name: str) -> Mapping[str, str]:
        """What the header of a model's file says.

        Raises:
            NotFoundError: there is no such model.
        """
        self.card(kind, name)
        if kind == "lora":
            return self._networks.find_lora(name).metadata
        if kind == "checkpoint":
            return next(file.metadata for file in self._checkpoints.checkpoints() if file.name == name)
        return {}

    def write_notes(self, kind: CardKind, name: str, changes: Mapping[str, object]) -> None:
        """Change the user's notes; keys that are not named stay as they are, None removes one.

        Raises:
            NotFoundError: there is no such model.
            StorageError: the file cannot be written.
        """
        path = _notes_path(self.card(kind, name).path)
        notes = {**_read_notes(path), **changes}
        kept = {key: value for key, value in notes.items() if value is not None}
        write_replacing(path, json.dumps(kept, indent=4, ensure_ascii=False).encode("utf-8"))
        self._notes.pop(path, None)

    def write_preview(self, kind: CardKind, name: str, content: bytes, suffix: str) -> None:
        """Put a picture beside a model; ``suffix`` is its type's, such as ".png".

        Raises:
            NotFoundError: there is no such model.
            StorageError: the file cannot be written.
        """
        path = self.card(kind, name).path
        write_replacing(path.with_name(f"{_stem(path)}.preview{suffix}"), content)

    def _sources(self, kind: CardKind, prefer_alias: bool) -> Iterator[_Source]:
        networks = self._networks
        if kind == "lora":
            for file in networks.loras():
                called = networks.prompt_name(file, prefer_alias=prefer_alias)
                yield _Source(file.name, called, file.path, file.version)
        elif kind == "hypernetwork":
            yield from (_plain(file) for file in networks.hypernetworks())
        elif kind == "checkpoint":
            for checkpoint in self._checkpoints.checkpoints():
                yield _Source(checkpoint.name, checkpoint.title, checkpoint.path)
        else:
            yield from (_Source(name, name, self._embeddings.path(name)) for name in self._embeddings.names())

    def _card(self, kind: CardKind, source: _Source, folders: _Folders) -> NetworkCard:
        stat = folders.stat(source.path)
        picture = folders.preview(source.path)
        picture_stat = folders.stat(picture) if picture else None
        notes = self._notes_of(source.path, folders)
        return NetworkCard(
            kind=kind,
            name=source.name,
            called=source.called,
            path=source.path,
            folder=self._folder(source.path),
            version=VERSIONS.get(str(notes.get("sd version", "")), source.version),
            created=_born(stat) if stat else 0.0,
            modified=stat.st_mtime if stat else 0.0,
            size=stat.st_size if stat else 0,
            preview=picture_stat.st_mtime if picture_stat else None,
            notes=notes,
        )

    def _folder(self, path: Path) -> str:
        for root in self._roots:
            if path.is_relative_to(root):
                folder = path.parent.relative_to(root).as_posix()
                return "" if folder == "." else folder
        return ""

    def _notes_of(self, path: Path, folders: _Folders) -> Mapping[str, object]:
        notes = _notes_path(path)
        stat = folders.stat(notes)
        if stat is None or stat.st_size > MAX_NOTES:
            return {}
        known = self._notes.get(notes)
        if known is None or known[0] != stat.st_mtime:
            known = (stat.st_mtime, _read_notes(notes))
            self._notes[notes] = known
        return known[1]


def training_tags(metadata: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """Words that a LoRA was trained with and how often, by frequency (kohya's ``ss_tag_frequency``)."""
    try:
        folders = json.loads(metadata.get("ss_tag_frequency", "{}"))
    except (ValueError, RecursionError):
        return ()
    counts: dict[str, int] = {}
    for tags in folders.values() if isinstance(folders, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if isinstance(count, int):
                counts[tag.strip()] = counts.get(tag.strip(), 0) + count
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_TAGS])


def _plain(file: NetworkFile) -> _Source:
    return _Source(file.name, file.name, file.path)


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _notes_path(path: Path) -> Path:
    return path.with_name(f"{_stem(path)}.json")


def _read_notes(path: Path) -> dict[str, object]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("the notes in %s cannot be read: %s", path.name, error)
        return {}
    return tree if isinstance(tree, dict) else {}


def _born(stat: os.stat_result) -> float:
    """When a file was made, as well as the system knows."""
    birth: float = getattr(stat, "st_birthtime", min(stat.st_ctime, stat.st_mtime))
    return birth
