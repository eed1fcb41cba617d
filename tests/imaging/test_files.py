import errno
import os
from pathlib import Path

import pytest

from modules.exceptions import StorageError
from modules.imaging.files import move_new


def refuse_links(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_is_moved_but_never_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        refuse_links(monkeypatch, errno.EPERM)
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")

    assert not move_new(tmp_path / "a", tmp_path / "b")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["a", "b"]

    assert move_new(tmp_path / "a", tmp_path / "c")
    assert [(path.name, path.read_text()) for path in sorted(tmp_path.iterdir())] == [("b", "b"), ("c", "a")]


def test_a_file_that_cannot_be_moved_stays_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(path: Path, target: Path) -> Path:
        raise OSError(errno.EIO, "broken")

    refuse_links(monkeypatch, errno.EPERM)
    monkeypatch.setattr(Path, "replace", replace)
    (tmp_path / "a").write_text("a")

    with pytest.raises(StorageError):
        move_new(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_is_moved_to_another_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "here" / "a").write_text("a")
    real_link, real_replace = os.link, Path.replace

    def link(source: Path, target: Path) -> None:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "another disk")
        real_link(source, target)

    def replace(path: Path, target: Path) -> Path:
        if path.parent != target.parent:
            raise OSError(errno.EXDEV, "another disk")
        return real_replace(path, target)

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(Path, "replace", replace)

    assert move_new(tmp_path / "here" / "a", tmp_path / "there" / "b")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b"]
    assert (tmp_path / "there" / "b").read_text() == "a"
