"""``log.csv`` beside pictures that were saved by hand: one line a click."""

import contextlib
import csv
import io
import os
import threading
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from modules.imaging.files import make_folder, storage_error, write_new, write_replacing

__all__ = ["LogLine", "SaveLog"]

NAME = "log.csv"
MAX_HEADER = 65_536  # bytes of the first line that are looked at


@dataclass(frozen=True)
class LogLine:
    """One saved picture; the fields are the columns, in A1111's order."""

    prompt: str
    seed: int
    width: int
    height: int
    sampler: str
    cfgs: float
    steps: int
    filename: str
    negative_prompt: str
    sd_model_name: str
    sd_model_hash: str


COLUMNS = tuple(field.name for field in fields(LogLine))


class SaveLog:
    """The log files of all folders into which one server saves by hand; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def append(self, folder: Path, line: LogLine) -> None:
        """Add a line to a folder's log; a file of an older version with fewer columns is widened first.

        Raises:
            StorageError: the file cannot be written; it is as it was.
        """
        path = folder / NAME
        with self._lock:
            make_folder(folder)
            try:
                if path.exists() or not write_new(path, _row(COLUMNS)):
                    _widen(path)
                _append(path, _row([_harmless(value) for value in astuple(line)]))
            except OSError as error:
                raise storage_error(path, error) from error


def _row(values: Sequence[object]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(values)
    return out.getvalue().encode("utf-8", "replace")


def _widen(path: Path) -> None:
    """Give a file of fewer columns all of them, the new ones empty."""
    with path.open("rb") as file:
        header = file.readline(MAX_HEADER).decode("utf-8", "replace").strip().split(",")
    if len(header) >= len(COLUMNS):
        return
    rows = csv.reader(io.StringIO(path.read_bytes().decode("utf-8", "replace"), newline=""))
    wide = (_row(row + [""] * (len(COLUMNS) - len(row))) for row in list(rows)[1:])
    write_replacing(path, _row(COLUMNS) + b"".join(wide))


def _append(path: Path, row: bytes) -> None:
    """Add bytes at the end and wait for the disk; what was written in part is taken back."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        is_cut = file.read(1) not in {b"\n", b""}
    try:
        with path.open("ab") as file:
            file.write(b"\r\n" + row if is_cut else row)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(path, size)
        raise


def _harmless(value: object) -> object:
    """A text that a spreadsheet would run as a formula is kept a text."""
    if isinstance(value, str) and value[:1] in {"=", "+", "@", "\t", "\r"}:
        return f"'{value}"
    return value
