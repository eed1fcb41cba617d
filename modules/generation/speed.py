"""How fast this machine is with each checkpoint, learned while working and kept for the next start."""

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from modules.imaging.files import write_replacing

__all__ = ["SpeedLog"]

log = logging.getLogger(__name__)

_WEIGHT = 0.1  # of a new measurement in the running average
_SAVE_EVERY = 30.0  # seconds
_Table = dict[str, dict[str, float]]  # checkpoint -> latent cells of a row -> seconds a row


class SpeedLog:
    """Seconds of U-Net rows and of decoded pictures, by checkpoint and size. Thread-safe.

    A file that cannot be read or written costs nothing but the knowledge of earlier starts.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._tables = _read(path)
        self._saved = clock()

    def row(self, checkpoint: str, cells: int, seconds: float) -> None:
        """A U-Net row of so many latent cells took so long."""
        self._learn("rows", checkpoint, cells, seconds)

    def picture(self, checkpoint: str, cells: int, seconds: float) -> None:
        """Decoding a picture of so many latent cells took so long."""
        self._learn("pictures", checkpoint, cells, seconds)

    def row_seconds(self, checkpoint: str, cells: int) -> float | None:
        """Expected seconds of a U-Net row; None before the checkpoint was ever used."""
        return self._expected("rows", checkpoint, cells)

    def picture_seconds(self, checkpoint: str, cells: int) -> float:
        """Expected seconds of decoding a picture; 0 before one was."""
        return self._expected("pictures", checkpoint, cells) or 0.0

    def _learn(self, kind: str, checkpoint: str, cells: int, seconds: float) -> None:
        with self._lock:
            known = self._tables[kind].setdefault(checkpoint, {})
            before = known.get(str(cells), seconds)
            known[str(cells)] = before + _WEIGHT * (seconds - before)
            if self._clock() - self._saved < _SAVE_EVERY:
                return
            self._saved = self._clock()
            text = json.dumps(self._tables)
        try:
            write_replacing(self._path, text.encode())
        except OSError as error:
            log.warning("speeds are not kept: %s", error)

    def _expected(self, kind: str, checkpoint: str, cells: int) -> float | None:
        """From the nearest size that was measured, in proportion."""
        with self._lock:
            known = {int(size): seconds for size, seconds in self._tables[kind].get(checkpoint, {}).items()}
        if not known:
            return None
        nearest = min(known, key=lambda size: max(size, cells) / min(size, cells))
        return known[nearest] * cells / nearest


def _read(path: Path) -> dict[str, _Table]:
    tables: dict[str, _Table] = {"rows": {}, "pictures": {}}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        for kind, table in tables.items():
            for checkpoint, sizes in stored[kind].items():
                table[checkpoint] = {str(int(size)): float(seconds) for size, seconds in sizes.items()}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        log.warning("the speeds of earlier starts are unreadable: %s", error)
    return tables
