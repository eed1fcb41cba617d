"""Whose work the engine has in its hands: a note that outlives the process, but for a power cut.

The engine writes it before each network call, which is far too often for a transaction. A mapped file
costs a microsecond, and the system keeps what was written when the process dies. A power cut may lose the
note, and then nobody is blamed, as it should be.
"""

import mmap
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Hands"]

_SIZE = 4096  # a hundred job ids
_JOB_ID = re.compile(rb"[0-9a-f]{32}")


class Hands:
    """The ids of the jobs that the engine works on at this moment. Thread-safe.

    Args:
        path: the note; it is created when it is missing.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.truncate(descriptor, _SIZE)
            self._note = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        self._lock = threading.Lock()
        self._closed = False

    def read(self) -> tuple[str, ...]:
        """The ids that are noted. A note that was half written when the process died names fewer jobs."""
        with self._lock:
            return tuple(match.decode("ascii") for match in _JOB_ID.findall(self._note[:]))

    def hold(self, job_ids: Sequence[str]) -> None:
        """Note these jobs instead of those before; none at all when nothing is being done."""
        text = b" ".join(job_id.encode("ascii") for job_id in job_ids)[:_SIZE]
        with self._lock:
            if not self._closed:
                self._note[:] = text.ljust(_SIZE, b"\n")

    def close(self) -> None:
        """Note nothing any more, and let go of the file: whatever ends now ends on purpose."""
        self.hold(())
        with self._lock:
            self._closed = True
            self._note.close()
