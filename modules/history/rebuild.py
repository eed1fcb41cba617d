"""The index made again from the picture files alone, or brought up to date with them."""

import hashlib
import json
import logging
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modules.domain.infotext import split_infotext
from modules.exceptions import RequestError
from modules.history.bin import BIN
from modules.history.companions import is_small_copy
from modules.history.index import HistoryIndex
from modules.history.picture import NewPicture, PictureKind
from modules.imaging.decode import open_image
from modules.imaging.files import PICTURE_SUFFIXES
from modules.imaging.metadata import read_metadata
from modules.jobs.results import StoredResult

__all__ = [
    "LOCAL_OWNER",
    "KnownResult",
    "Rebuilt",
    "known_results",
    "picture_kind",
    "rebuild",
    "request_sources",
]

log = logging.getLogger(__name__)

LOCAL_OWNER = "local"  # whoever sits at the machine, as long as there are no users
_LEFT_OUT = ("init-images",)  # copies of what was handed in
_BATCH = 100  # pictures in one transaction


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did: pictures that came in, were found elsewhere, are gone, could not be read."""

    added: int = 0
    moved: int = 0
    gone: int = 0
    unreadable: int = 0


@dataclass(frozen=True)
class KnownResult:
    """What the queue's file remembers of a picture."""

    id: str
    owner: str
    sources: tuple[str, ...]


def known_results(results: Iterable[StoredResult], outputs: Path) -> dict[str, KnownResult]:
    """Results by their path below ``outputs``; results that lie elsewhere are left out."""
    known: dict[str, KnownResult] = {}
    for result in results:
        path = Path(result.path)
        if path.is_relative_to(outputs):
            sources = request_sources(result.payload)
            known[path.relative_to(outputs).as_posix()] = KnownResult(result.image_id, result.owner, sources)
    return known


def request_sources(payload: str) -> tuple[str, ...]:
    """Digests of the pictures that a request (JSON text) starts from, each once."""
    try:
        request = json.loads(payload)
        source = request.get("image_to_image") or {}
        images = [*source.get("images", ()), *request.get("origins", ())]
    except (ValueError, AttributeError, TypeError):
        return ()
    return tuple(dict.fromkeys(image for image in images if isinstance(image, str)))


def picture_kind(path: str) -> PictureKind:
    """What made a picture, told by the folder that it lies in (below the outputs folder)."""
    folder = path.removeprefix(f"{BIN}/").rpartition("/")[0].lower()
    if "grid" in folder:
        return "grid"
    kinds: tuple[PictureKind, ...] = ("extras", "img2img", "txt2img")
    return next((kind for kind in kinds if kind in folder), "other")


def rebuild(
    index: HistoryIndex,
    outputs: Path,
    *,
    known: Mapping[str, KnownResult] | None = None,
    owners: Collection[str] = (),
    default_owner: str = LOCAL_OWNER,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Rebuilt:
    """Let the index say what lies on disk; stars and tags of pictures that are still there stay.

    Args:
        index: the index.
        outputs: folder of all pictures.
        known: what the queue remembers, by path below ``outputs``.
        owners: names that a folder, or ``User`` in the parameters, may give as the owner.
        default_owner: who gets the pictures of which nobody knows whose they are.
        report: told how many of the new files are read, and how many there are.
        is_stopped: asked between files; a stopped rebuild goes on where it was the next time.
    """
    indexed = index.paths()
    files = dict(_picture_files(outputs, indexed))
    if indexed and not files:
        log.warning("there is no picture in %s: the index is left as it is", outputs.name)
        return Rebuilt()
    fresh = sorted((path for path in files if path not in indexed), key=lambda path: files[path])
    lost = {digest: path for path, digest in indexed.items() if path not in files}
    remembered = known or {}
    names = frozenset(owners) | {one.owner for one in remembered.values()}
    reader = _Reader(outputs, remembered, names, default_owner)
    added = moved = read = 0
    for start in range(0, len(fresh), _BATCH):
        if is_stopped():
            return Rebuilt(added, moved)
        batch = fresh[start : start + _BATCH]
        pictures = [found for path in batch if (found := reader.read(path, files[path])) is not None]
        elsewhere = {picture.path: lost.pop(picture.digest) for picture in pictures if picture.digest in lost}
        for picture in pictures:
            if picture.path in elsewhere:
                index.rename(elsewhere[picture.path], picture.path, binned=picture.binned)
        added += index.add(picture for picture in pictures if picture.path not in elsewhere)
        moved, read = moved + len(elsewhere), read + len(pictures)
        report(start + len(batch), len(fresh))
    index.forget_paths(lost.values())
    index.store.mark_complete()
    return Rebuilt(added, moved, gone=len(lost), unreadable=len(fresh) - read)


@dataclass(frozen=True)
class _Reader:
    """Turns files into what the index keeps of them."""

    outputs: Path
    known: Mapping[str, KnownResult]
    owners: Collection[str]
    default_owner: str

    def read(self, path: str, modified: float) -> NewPicture | None:
        """A file's row; None when it is no picture."""
        try:
            content = (self.outputs / path).read_bytes()
            image = open_image(content, max_pixels=2**62)  # nothing is decoded: any size will do
            metadata = read_metadata(content)
        except (OSError, RequestError) as error:
            log.info("%s is left out of the history: %s", path, error)
            return None
        is_binned = path.startswith(f"{BIN}/")
        known = self.known.get(path.removeprefix(f"{BIN}/"))
        infotext = metadata.infotext or ""
        return NewPicture(
            id=known.id if known else secrets.token_urlsafe(16),
            owner=known.owner if known else self._owner(path, infotext),
            path=path,
            kind=picture_kind(path),
            created=modified,
            width=image.width,
            height=image.height,
            infotext=infotext,
            digest=hashlib.sha256(content).hexdigest(),
            sources=known.sources if known else (),
            binned=modified if is_binned else None,
        )

    def _owner(self, path: str, infotext: str) -> str:
        folders = PurePosixPath(path).parts[:-1]
        named = next((name for name in folders if name in self.owners), None)
        if named is None:
            user = split_infotext(infotext).parameters.get("User", "")
            named = user if user in self.owners else None
        return named or self.default_owner


def _picture_files(outputs: Path, indexed: Collection[str]) -> Iterator[tuple[str, float]]:
    """Path below ``outputs`` and time of change of every picture file there."""
    for folder, names, files in os.walk(outputs):
        names[:] = [name for name in names if name not in _LEFT_OUT and (name == BIN or name[:1] != ".")]
        large = {
            Path(name).stem: Path(folder, name)
            for name in files
            if name.lower().endswith((".png", ".webp", ".avif"))
        }
        for name in files:
            path = Path(folder, name)
            if path.suffix.lower() not in PICTURE_SUFFIXES or name[:1] == ".":
                continue
            below = path.relative_to(outputs).as_posix()
            if below not in indexed and path.stem in large and is_small_copy(path, large[path.stem]):
                continue
            try:
                yield below, path.stat().st_mtime
            except OSError:  # deleted while we look
                continue
