"""What is told of an extension that was cloned."""

import shutil
import subprocess
from pathlib import Path

import pytest

from modules.plugins.repository import Repository, read_repository

GIT = shutil.which("git") or ""
needs_git = pytest.mark.skipif(not GIT, reason="there is no git")


def clone(folder: Path, remote: str = "") -> str:
    """Make a repository with one commit of a known moment; returns its hash."""
    moment = {"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0200"}
    who = ["-c", "user.name=A > B", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]

    def git(*words: str) -> str:
        command = [GIT, "-C", str(folder), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=moment).stdout

    folder.mkdir(exist_ok=True)
    git("init", "--quiet", "--initial-branch=main")
    git("commit", "--quiet", "--allow-empty", "--message=committer x> 1 +0000")
    if remote:
        git("remote", "add", "origin", remote)
    return git("rev-parse", "HEAD").strip()


@needs_git
def test_a_clone_tells_where_it_is_from_and_what_stands_there(tmp_path: Path) -> None:
    commit = clone(tmp_path / "one", "https://ann:secret@example.org/one.git")
    told = read_repository(tmp_path / "one")
    assert told == Repository("https://example.org/one.git", "main", commit, 1700000000)


@needs_git
def test_a_repository_of_ones_own_has_no_remote(tmp_path: Path) -> None:
    clone(tmp_path / "one")
    told = read_repository(tmp_path / "one")
    assert told is not None
    assert told.remote == ""


@needs_git
def test_a_folder_inside_a_repository_is_none(tmp_path: Path) -> None:
    clone(tmp_path)
    inside = tmp_path / "inside"
    inside.mkdir()
    assert read_repository(inside) is None


def test_what_is_no_repository_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert read_repository(tmp_path) is None
    (tmp_path / ".git").rmdir()
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    assert read_repository(tmp_path) is None
