"""Where an extension was cloned from and what stands there, as git's plumbing tells.

Only commands that read are used, none that a repository's own settings can make run a program: to list an
extension is not to trust it.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["Repository", "read_repository"]

_SECONDS = 10.0
_COMMITTED = re.compile(r"^committer .*> ([0-9]+) [+-][0-9]{4}$", re.MULTILINE)


@dataclass(frozen=True)
class Repository:
    """A clone at one moment.

    Attributes:
        remote: address of ``origin`` without the name and password in it; "" without one.
        branch: the branch it is on; "HEAD" on none.
        commit: hash of the commit that it stands at.
        committed: when that was made, in seconds since 1970.
    """

    remote: str
    branch: str
    commit: str
    committed: int


def read_repository(folder: Path) -> Repository | None:
    """The repository whose top a folder is; None if it is none, has no commit, or there is no git."""
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return None
    places = _ask(git, folder, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").split()
    committed = _COMMITTED.search(_ask(git, folder, "cat-file", "commit", "HEAD"))
    if len(places) != 2 or committed is None:
        return None
    remote = _ask(git, folder, "config", "--get", "remote.origin.url").strip()
    return Repository(_without_credentials(remote), places[1], places[0], int(committed[1]))


def _ask(git: str, folder: Path, *words: str) -> str:
    """What git prints; nothing when it fails."""
    command = [git, f"--git-dir={folder / '.git'}", *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _without_credentials(remote: str) -> str:
    try:
        parts = urlsplit(remote)
    except ValueError:
        return ""
    if not parts.scheme or "@" not in parts.netloc:
        return remote
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
