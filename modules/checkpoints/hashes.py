"""Names of files by content: A1111's old and new hashes, remembered on disk.

The modern hash is SHA-256 of the whole file, shown by its first ten digits; LoRA-like files are named by
SHA-256 of what follows the header, so that editing their metadata does not rename them.
"""

import hashlib
import json
import os
import struct
import threading
from pathlib import Path
from typing import BinaryIO

from modules.exceptions import CheckpointError, StorageError

__all__ = ["HashCache", "addnet_hash", "legacy_hash", "sha256_of"]

_BLOCK = 1 << 20
_LEGACY_OFFSET, _LEGACY_LENGTH = 0x100000, 0x10000


def legacy_hash(path: Path) -> str:
    """A1111's first hash: eight digits of 64 KiB in the file's second megabyte; "NOFILE" if missing."""
    try:
        with path.open("rb") as file:
            file.seek(_LEGACY_OFFSET)
            return hashlib.sha256(file.read(_LEGACY_LENGTH)).hexdigest()[:8]
    except OSError:
        return "NOFILE"


def sha256_of(path: Path) -> str:
    """SHA-256 of a whole file, 64 digits.

    Raises:
        CheckpointError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _digest(file)
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror or error}") from error


def addnet_hash(path: Path) -> str:
    """SHA-256 of a safetensors file without its header ("AutoV3" is its first twelve digits).

    Raises:
        CheckpointError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if len(start) == 8:
                file.seek(min(struct.unpack("<Q", start)[0], path.stat().st_size), os.SEEK_CUR)
            return _digest(file)
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror or error}") from error


class HashCache:
    """Remembers hashes by path, size and time of change, in one JSON file. Safe between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, str | int]] | None = None

    def known_sha256(self, path: Path) -> str | None:
        """The file's SHA-256 if it was computed since the file last changed."""
        return self._known(f"sha256:{path}", path)

    def sha256(self, path: Path) -> str:
        """The file's SHA-256, computed if it is not known yet (2 GB take some seconds)."""
        known = self.known_sha256(path)
        return known if known is not None else self._remember(f"sha256:{path}", path, sha256_of(path))

    def known_addnet(self, path: Path) -> str | None:
        """:func:`addnet_hash` of the file if it was computed since the file last changed."""
        return self._known(f"addnet:{path}", path)

    def addnet(self, path: Path) -> str:
        """:func:`addnet_hash` of the file, remembered."""
        known = self.known_addnet(path)
        return known if known is not None else self._remember(f"addnet:{path}", path, addnet_hash(path))

    def _known(self, key: str, path: Path) -> str | None:
        with self._lock:
            entry = self._loaded().get(key)
        if entry is None:
            return None
        try:
            status = path.stat()
        except OSError:
            return None
        if (entry.get("mtime_ns"), entry.get("size")) != (status.st_mtime_ns, status.st_size):
            return None
        digest = entry.get("digest")
        return digest if isinstance(digest, str) else None

    def _remember(self, key: str, path: Path, digest: str) -> str:
        status = path.stat()
        with self._lock:
            entries = self._loaded()
            entries[key] = {"digest": digest, "mtime_ns": status.st_mtime_ns, "size": status.st_size}
            self._write(entries)
        return digest

    def _loaded(self) -> dict[str, dict[str, str | int]]:
        if self._entries is None:
            self._entries = _read_entries(self._path)
        return self._entries

    def _write(self, entries: dict[str, dict[str, str | int]]) -> None:
        temporary = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(entries), encoding="utf-8")
            temporary.replace(self._path)
        except OSError as error:
            raise StorageError(
                self._path, f"hashes cannot be saved in {self._path}: {error.strerror}"
            ) from error


def _read_entries(path: Path) -> dict[str, dict[str, str | int]]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # it is a cache: whatever is lost is computed again
    if not isinstance(tree, dict):
        return {}
    return {key: entry for key, entry in tree.items() if isinstance(entry, dict)}


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
