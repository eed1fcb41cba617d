"""``log.csv`` beside pictures that were saved by hand: one line a click."""

import csv
import io
import threading
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from modules.imaging.files import make_folder, storage_error, write_replacing

__all__ = ["LogLine", "SaveLog"]


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
    """The log file of one folder; safe to use from several threads.

    Args:
        folder: of the saved pictures.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.csv"
        self._lock = threading.Lock()

    def append(self, line: LogLine) -> None:
        """Add a line; a file of an older version with fewer columns is widened first.

        Raises:
            StorageError: the file cannot be written; it is as it was.
        """
        with self._lock:
            make_folder(self._path.parent)
            try:
                content = self._widened()
            except OSError as error:
                raise storage_error(self._path, error) from error
            out = io.StringIO(newline="")
            csv.writer(out).writerow(_harmless(value) for value in astuple(line))
            write_replacing(self._path, content + out.getvalue().encode("utf-8", "replace"))

    def _widened(self) -> bytes:
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        if not self._path.exists():
            writer.writerow(COLUMNS)
            return out.getvalue().encode()
        content = self._path.read_bytes()
        header = content.partition(b"\n")[0].decode("utf-8", "replace").strip().split(",")
        if len(header) >= len(COLUMNS):
            return content if content.endswith(b"\n") else content + b"\r\n"
        writer.writerow(COLUMNS)
        rows = csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline=""))
        for row in list(rows)[1:]:
            writer.writerow(row + [""] * (len(COLUMNS) - len(row)))
        return out.getvalue().encode("utf-8", "replace")


def _harmless(value: object) -> object:
    """A text that a spreadsheet would run as a formula is kept a text."""
    if isinstance(value, str) and value[:1] in {"=", "+", "@", "\t", "\r"}:
        return f"'{value}"
    return value
