"""Writing files so that a crash, a full disk or a second writer never damages anything."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from pathlib import Path

from modules.exceptions import StorageError

__all__ = [
    "PICTURE_SUFFIXES",
    "make_folder",
    "move_new",
    "remove_leftovers",
    "stem_is_free",
    "storage_error",
    "sync_file",
    "write_new",
    "write_replacing",
]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif")
"""How the names of pictures end that are saved here."""

_TEMPORARY = re.compile(r"\.(?:[0-9a-f]{16}|[\w.-]+\.json\.\w{8})\.tmp")
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def make_folder(folder: Path) -> None:
    """Create a folder and those above it.

    Raises:
        StorageError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error


def write_new(path: Path, content: bytes) -> bool:
    """Write a file that must not exist yet: temporary file, fsync, link into place, fsync the folder.

    Returns:
        False when ``path`` exists already; nothing was written then.

    Raises:
        StorageError: the file cannot be written; nothing is left behind.
    """
    try:
        temporary = _temporary(path, content)
        try:
            if not _move_without_replacing(temporary, path):
                return False
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    return True


def write_replacing(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file in place of an older one; readers see the old or the new content, never a mixture.

    Args:
        path: the file.
        content: what is in it.
        durable: False does not wait for the disk. The file outlives the process all the same; a power cut
            in the next half minute may cut it short.

    Raises:
        StorageError: the file cannot be written; the old one is as it was.
    """
    try:
        temporary = _temporary(path, content, durable=durable)
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error


def move_new(path: Path, target: Path) -> bool:
    """Move a file to a name that must not exist yet.

    Returns:
        False when ``target`` exists already; nothing was moved then.

    Raises:
        StorageError: the file cannot be moved; it is where it was.
    """
    try:
        try:
            moved = _move_without_replacing(path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            moved = write_new(target, path.read_bytes())  # another disk is mounted there
            if moved:
                shutil.copystat(path, target)
        if moved:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error
    return moved


def stem_is_free(path: Path) -> bool:
    """Whether neither a picture of any format nor a text bears a name, its suffix left out, in its folder.

    What lies beside a picture (parameters as text, a smaller copy) is told by the stem that they share.
    """
    return not any(path.with_suffix(suffix).exists() for suffix in (*PICTURE_SUFFIXES, ".txt"))


def sync_file(path: Path) -> None:
    """Wait until a file that was written without waiting is safe from a power cut.

    Raises:
        StorageError: it cannot be.
    """
    try:
        with path.open("r+b") as file:
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error


def remove_leftovers(root: Path, *, older_than: float = 60.0) -> int:
    """Remove what writers that were killed have left below a folder; returns how many files that were.

    Args:
        root: the folder; it may be missing.
        older_than: seconds; younger ones may be another process's work in progress.
    """
    limit, removed = time.time() - older_than, 0
    for folder, _, names in os.walk(root):
        for name in names:
            if not _TEMPORARY.fullmatch(name):
                continue
            path = Path(folder, name)
            with contextlib.suppress(OSError):
                if path.stat().st_mtime <= limit:
                    path.unlink()
                    removed += 1
    return removed


def storage_error(path: Path, error: OSError) -> StorageError:
    """The one sentence that a user reads when a file could not be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(
            path, f"The disk is full: {path.name} could not be saved. Free some space and save again."
        )
    if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
        return StorageError(
            path, f"No permission to write to the folder {path.parent.name}: {path.name} was not saved."
        )
    return StorageError(path, f"{path.name} could not be saved: {error.strerror or error}.")


def _temporary(path: Path, content: bytes, *, durable: bool = True) -> Path:
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return temporary


def _move_without_replacing(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _reserve_and_move(temporary, path)  # a file system without hard links
    return True


def _reserve_and_move(temporary: Path, path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    try:
        temporary.replace(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems cannot
            raise
    finally:
        os.close(handle)
