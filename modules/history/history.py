"""The history as others use it: index, bin and thumbnails behind one object."""

import hashlib
import logging
import secrets
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from modules.domain.job import JobKind, ResultImage
from modules.exceptions import NotFoundError, RequestError, StorageError
from modules.history.bin import PictureBin
from modules.history.index import HistoryIndex
from modules.history.picture import HistoryPicture, NewPicture, PictureKind
from modules.history.rebuild import known_results, picture_kind, rebuild, request_sources
from modules.imaging.decode import open_image
from modules.imaging.files import make_folder
from modules.imaging.metadata import read_metadata
from modules.imaging.thumbnail import thumbnail_webp
from modules.jobs.results import stored_results
from modules.jobs.store import Job, OwnedImage

__all__ = ["THUMBNAIL_SIDE", "History"]

log = logging.getLogger(__name__)

THUMBNAIL_SIDE = 448  # pixels: sharp in a row of 220 on a screen with two pixels a point
GRID_INDEX = -1


class History:
    """Everything made and saved; safe to use from several threads.

    Attributes:
        index: what is known of the pictures.
        worker: the thread that makes the index from the files, None when there is nothing to make.

    Args:
        outputs: folder of all saved pictures; only files in it are shown, moved or deleted.
        data: the private folder; the index and the thumbnails live in it.

    Raises:
        StorageError: the index cannot be opened.
    """

    def __init__(self, outputs: Path, data: Path) -> None:
        self.index = HistoryIndex(data / "history.sqlite")
        self._outputs = outputs
        self._queue_file = data / "queue.sqlite"
        self._thumbnails = data / "thumbnails"
        self._bin = PictureBin(outputs, self.index.has_path)
        self._stopping = threading.Event()
        self.worker: threading.Thread | None = None

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the index again from the files, in a thread of its own, if it is new or was damaged."""
        if not self.index.store.is_complete:
            self.worker = threading.Thread(target=self._fill, name="history", daemon=True)
            self.worker.start()

    def close(self) -> None:
        """Stop what runs and close the file."""
        self._stopping.set()
        if self.worker is not None:
            self.worker.join(10)
        self.index.close()

    def _fill(self) -> None:
        try:
            known = known_results(stored_results(self._queue_file), self._outputs)
            done = rebuild(self.index, self._outputs, known=known, is_stopped=self._stopping.is_set)
        except (sqlite3.Error, OSError) as error:
            log.warning("the history could not be made from the files: %s", error)
            return
        if done.added:
            log.info("the history was made from the files: %d pictures", done.added)

    # --- what comes in -------------------------------------------------------------------------

    def keeps(self, image: ResultImage) -> bool:
        """Whether the picture's file lies below the outputs folder."""
        return Path(image.path).is_relative_to(self._outputs)

    def record(self, job: Job, images: Sequence[ResultImage]) -> None:
        """Take in what a job has saved. A history that fails must not fail the job: it only logs."""
        if job.kind is not JobKind.GENERATE:
            return
        sources = request_sources(job.payload)
        for image in images:
            kind: PictureKind | None = "grid" if image.index == GRID_INDEX else None
            try:
                self.add(Path(image.path), job.owner, image.infotext, id=image.id, sources=sources, kind=kind)
            except (sqlite3.Error, OSError, RequestError) as error:
                log.warning("a picture is missing in the history: %s", error)

    def add(
        self,
        path: Path,
        owner: str,
        infotext: str,
        *,
        id: str,
        sources: Sequence[str] = (),
        kind: PictureKind | None = None,
    ) -> None:
        """Take in one saved file; one that lies outside the outputs folder is not kept and left out.

        Args:
            path: the file.
            owner: who made it.
            infotext: its generation parameters.
            id: unguessable name under which the server hands it out.
            sources: sha256 of each file that it was made from.
            kind: None reads it from the folder's name.

        Raises:
            OSError: the file cannot be read.
            RequestError: it is no picture.
        """
        if not path.is_relative_to(self._outputs):
            return
        below = path.relative_to(self._outputs).as_posix()
        content = path.read_bytes()
        image = open_image(content, max_pixels=2**62)
        digest = hashlib.sha256(content).hexdigest()
        self.index.put(
            NewPicture(
                id=id,
                owner=owner,
                path=below,
                kind=kind or picture_kind(below),
                created=path.stat().st_mtime,
                width=image.width,
                height=image.height,
                infotext=infotext,
                digest=digest,
                sources=tuple(source for source in sources if source != digest),
            )
        )

    def keep(self, paths: Sequence[Path], owner: str, infotext: str, *, source: bytes) -> None:
        """Take in files that were made from another one without a job; as :meth:`record` it only logs.

        Args:
            paths: what was saved.
            owner: who made it.
            infotext: what was done; it counts where a file carries no parameters.
            source: content of the file that they were made from.
        """
        digest = hashlib.sha256(source).hexdigest()
        for path in paths:
            try:
                text = read_metadata(path).infotext or infotext
                self.add(path, owner, text, id=secrets.token_urlsafe(16), sources=(digest,))
            except (sqlite3.Error, OSError, RequestError) as error:
                log.warning("a picture is missing in the history: %s", error)

    def find(self, image_id: str) -> OwnedImage | None:
        """A picture of any owner by its unguessable id, its file where it lies now; None when unknown."""
        picture = self.index.find(image_id)
        if picture is None:
            return None
        seed = int(picture.seed) if picture.seed.isdecimal() and len(picture.seed) < 20 else -1
        image = ResultImage(
            id=picture.id,
            path=str(self._path(picture)),
            index=GRID_INDEX if picture.kind == "grid" else 0,
            width=picture.width,
            height=picture.height,
            seed=seed,
            infotext=picture.infotext,
        )
        return OwnedImage(image, "", picture.owner)

    # --- what owners see and do ----------------------------------------------------------------

    def thumbnail(self, picture_id: str, owner: str) -> bytes:
        """A small WebP of one of the owner's pictures, made at the first time of asking.

        Raises:
            NotFoundError: there is no such picture, it is somebody else's, or its file is gone.
            RequestError: the file is no picture any more.
        """
        picture = self.index.picture(picture_id, owner)
        cached = self._thumbnail_file(picture)
        with suppress(OSError):
            return cached.read_bytes()
        path = self._path(picture)
        if not path.is_file():
            raise NotFoundError("picture", "the picture's file is gone")
        content = thumbnail_webp(path, THUMBNAIL_SIDE)
        with suppress(OSError, StorageError):  # a full disk: it is made again the next time
            make_folder(cached.parent)
            temporary = cached.with_suffix(f".{threading.get_ident()}.tmp")
            temporary.write_bytes(content)
            temporary.replace(cached)
        return content

    def throw_in_bin(self, ids: Sequence[str], owner: str) -> None:
        """Move pictures into the bin; those that lie there already stay, those without a file are forgotten.

        Raises:
            NotFoundError: one of them is not the owner's, or does not lie in the outputs folder.
            StorageError: a file cannot be moved.
        """
        for picture in self.index.pictures(ids, owner):
            if not self._path(picture).is_file():
                self.index.forget([picture])
            elif picture.binned is None:
                self.index.moved(picture, self._bin.throw_in(picture.path), binned=True)

    def restore(self, ids: Sequence[str], owner: str) -> None:
        """Move pictures out of the bin to where they were; others stay as they are.

        Raises:
            NotFoundError: one of them is not the owner's, or its file is gone.
            StorageError: a file cannot be moved.
        """
        for picture in self.index.pictures(ids, owner):
            if picture.binned is not None:
                self.index.moved(picture, self._bin.take_out(picture.path), binned=False)

    def empty_bin(self, owner: str) -> int:
        """Delete all the owner's pictures that are in the bin, for good. Returns how many they were.

        Raises:
            StorageError: a file cannot be deleted; those before it are gone.
        """
        emptied = 0
        for picture in self.index.in_bin(owner):
            self._bin.destroy(picture.path)
            self._thumbnail_file(picture).unlink(missing_ok=True)
            self.index.forget([picture])
            emptied += 1
        return emptied

    def _path(self, picture: HistoryPicture) -> Path:
        return self._outputs / PurePosixPath(picture.path)

    def _thumbnail_file(self, picture: HistoryPicture) -> Path:
        return self._thumbnails / picture.digest[:2] / f"{picture.digest}.webp"
