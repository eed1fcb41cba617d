"""How long the parts of a start took."""

import os
import time
from pathlib import Path

from pydantic import BaseModel, Field

__all__ = ["StartupProfile", "StartupTimes"]


class StartupProfile(BaseModel):
    """Seconds from the start of the process to the first answered request, by part."""

    total: float = Field(description="seconds in all", examples=[9.5])
    records: dict[str, float] = Field(
        description="seconds by part, in order", examples=[{"imports": 6.1, "services": 2.2, "page": 1.2}]
    )


class StartupTimes:
    """A stopwatch that the composition root presses after each part."""

    def __init__(self) -> None:
        self._records: dict[str, float] = {}
        self._last = time.monotonic()
        before = _process_age()
        if before is not None:
            self._records["imports"] = before

    def mark(self, part: str) -> None:
        """What was done since the last mark is called ``part``."""
        now = time.monotonic()
        self._records[part] = self._records.get(part, 0.0) + now - self._last
        self._last = now

    def profile(self) -> StartupProfile:
        """The times so far."""
        records = {part: round(seconds, 4) for part, seconds in self._records.items()}
        return StartupProfile(total=round(sum(self._records.values()), 4), records=records)


def _process_age() -> float | None:
    """Seconds since this process was made; None where the system does not say."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / ticks)
    except (OSError, ValueError, IndexError, AttributeError):
        return None
