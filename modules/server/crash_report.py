"""What is known when the server has died: how, at whose work, and its last words, without secrets.

Written by the supervisor, which outlives the server, so it needs the standard library only.
"""

import platform
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["REPORTS_KEPT", "read_reports", "redacted", "write_report"]

REPORTS_KEPT = 20
_LINES = 200
_JOB_ID = re.compile(rb"[0-9a-f]{32}")
_SECRETS = (
    (re.compile(r"(?i)\b(token|password|secret|key|auth)(\s*[=:]\s*)[\"']?[^\s&,;\"']+"), r"\1\2***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"//[^/\s:@]+:[^/\s@]+@"), "//***@"),
    (re.compile(r"(/home/|/Users/|C:\\Users\\)[^/\\\s]+"), r"\1***"),
)


def redacted(text: str) -> str:
    """The text without tokens, passwords and the names of home folders."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def write_report(
    folder: Path, reason: str, seconds: float, note: Path, last_words: Sequence[str]
) -> Path | None:
    """Describe a crash in a file of its own; the oldest ones go.

    Args:
        folder: where reports are kept; created when missing.
        reason: how the process ended.
        seconds: how long it had run.
        note: file in which the engine notes whose work it does.
        last_words: the last lines of its log.

    Returns:
        The file, or None when it cannot be written.
    """
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    lines = [
        f"The server ended unexpectedly: {reason}",
        f"when: {moment}, after {seconds:.0f} s",
        f"system: {platform.platform()}, Python {platform.python_version()}",
        f"at work for jobs: {', '.join(_jobs_in(note)) or 'none'}",
        "",
        "Last lines of the log:",
        *(line.rstrip("\n") for line in last_words[-_LINES:]),
    ]
    name = f"crash-{time.time_ns() // 1000:016d}.txt"  # in microseconds: names sort by age
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in sorted(folder.glob("crash-*.txt"))[: -REPORTS_KEPT + 1]:
            old.unlink(missing_ok=True)
        path = folder / name
        path.write_text(redacted("\n".join(lines)) + "\n", encoding="utf-8")
    except OSError:
        return None
    return path


def read_reports(folder: Path) -> Iterable[tuple[str, str]]:
    """Names and texts of the reports, newest first."""
    for path in sorted(folder.glob("crash-*.txt"), reverse=True):
        yield path.name, path.read_text(encoding="utf-8", errors="replace")


def _jobs_in(note: Path) -> list[str]:
    try:
        return [found.decode("ascii") for found in _JOB_ID.findall(note.read_bytes())]
    except OSError:
        return []
