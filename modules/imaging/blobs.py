"""Store of uploaded pictures, named by their content, and of results that are not kept in a folder."""

import hashlib
import os
import re
import secrets
import threading
import time
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from pathlib import Path

from PIL import Image

from modules.exceptions import NotFoundError, StorageError
from modules.imaging.decode import load_image
from modules.imaging.files import make_folder, storage_error, sync_file, write_replacing
from modules.imaging.strips import helpers

__all__ = ["BlobStore"]

_ID = re.compile(r"[0-9a-f]{64}")
_TOUCH_AFTER = 3600.0  # seconds; a younger time of use is exact enough
_ON_DISK_AFTER = 120.0  # seconds; systems write what they hold back within 35
_UNKEPT_FOR = 86_400.0  # seconds
_CLEAN_EVERY = 3600.0  # seconds
_MOST_ARRIVING = 16  # in memory, where the disk is slow
_REMEMBERED = 1000  # sentences about files that could not be written


class BlobStore:
    """Files named by the sha256 of their content, so that the same picture is stored once.

    Args:
        root: folder of the store, private to the server.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._unkept = root / "unkept"
        self._cleaned = 0.0
        self._noting = threading.Lock()
        self._arriving: dict[Path, tuple[bytes, Future[None]]] = {}
        self._lost: dict[Path, str] = {}  # why

    def put(self, content: bytes, *, durable: bool = True) -> str:
        """Store bytes.

        Args:
            content: the bytes.
            durable: False does not wait for the disk: a power cut may take the blob back.

        Returns:
            Their id, 64 hexadecimal digits.

        Raises:
            StorageError: they cannot be written.
        """
        blob_id = hashlib.sha256(content).hexdigest()
        self._store(self._place(blob_id), content, durable=durable)
        return blob_id

    def put_soon(self, content: bytes) -> Path:
        """Store bytes for a day, while other work goes on; they are read now if ever.

        Returns:
            The file that will be theirs; :meth:`read` and :meth:`wait_for` know it at once.
        """
        wait([storing for _, storing in tuple(self._arriving.values())[: 1 - _MOST_ARRIVING]])
        if time.time() - self._cleaned > _CLEAN_EVERY:
            self._cleaned = time.time()
            helpers().submit(self._clean_up)
        name = secrets.token_hex(32)
        path = self._unkept / name[:2] / name
        storing = helpers().submit(self._store, path, content, durable=False)
        with self._noting:
            self._arriving[path] = (content, storing)
        storing.add_done_callback(partial(self._has_arrived, path))
        return path

    def read(self, path: Path) -> bytes:
        """The bytes of a file, also of one that is still being stored.

        Raises:
            OSError: it cannot be read.
            StorageError: it could not be stored.
        """
        arriving = self._arriving.get(path)
        if arriving is not None:
            return arriving[0]
        self._refuse_lost(path)
        return path.read_bytes()

    def wait_for(self, path: Path) -> None:
        """Wait until a file that is still being stored is there.

        Raises:
            StorageError: it could not be stored.
        """
        arriving = self._arriving.get(path)
        error = None if arriving is None else arriving[1].exception()
        if error is not None:
            raise StorageError(path, str(error))
        self._refuse_lost(path)

    def get(self, blob_id: str) -> bytes:
        """The stored bytes.

        Raises:
            NotFoundError: there is no such blob.
        """
        try:
            path = self.path(blob_id)
            _touch(path)
            return path.read_bytes()
        except OSError as error:
            raise NotFoundError("image", f"picture {_shown(blob_id)} is not in the store") from error

    def image(self, blob_id: str) -> Image.Image:
        """A stored picture, decoded as :func:`modules.imaging.decode.load_image` does.

        Raises:
            NotFoundError: there is no such blob.
            RequestError: the blob is no picture.
        """
        return load_image(self.get(blob_id))

    def path(self, blob_id: str) -> Path:
        """The file of a blob.

        Raises:
            NotFoundError: there is no such blob.
        """
        path = self._place(blob_id) if _ID.fullmatch(blob_id) else None
        if path is None or not path.is_file():
            raise NotFoundError("image", f"picture {_shown(blob_id)} is not in the store")
        return path

    def __contains__(self, blob_id: object) -> bool:
        return (
            isinstance(blob_id, str) and _ID.fullmatch(blob_id) is not None and self._place(blob_id).is_file()
        )

    def _refuse_lost(self, path: Path) -> None:
        reason = self._lost.get(path)
        if reason is not None:
            raise StorageError(path, reason)

    def _has_arrived(self, path: Path, storing: Future[None]) -> None:
        error = storing.exception()
        with self._noting:
            if error is not None:
                self._lost[path] = str(error)
                for known in tuple(self._lost)[:-_REMEMBERED]:
                    del self._lost[known]
            del self._arriving[path]

    def _clean_up(self) -> None:
        for path in self._unkept.glob("??/*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _UNKEPT_FOR:
                    path.unlink()

    def _store(self, path: Path, content: bytes, *, durable: bool) -> None:
        with self._lock:
            size, changed = _status(path)
            if size != len(content):  # there is none, or a power cut has cut it short
                make_folder(path.parent)
                write_replacing(path, content, durable=durable)
                return
            if durable and time.time() - changed < _ON_DISK_AFTER:
                sync_file(path)
            _touch(path)

    def _place(self, blob_id: str) -> Path:
        return self._root / blob_id[:2] / blob_id


def _status(path: Path) -> tuple[int, float]:
    """Size in bytes and time of the last change; -1 and 0 where there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return -1, 0.0
    except OSError as error:
        raise storage_error(path, error) from error
    return status.st_size, status.st_mtime


def _touch(path: Path) -> None:
    """Note the time of use; an old one costs a write, a recent one nothing."""
    if time.time() - path.stat().st_mtime > _TOUCH_AFTER:
        os.utime(path)


def _shown(blob_id: str) -> str:
    return repr(blob_id[:16])
