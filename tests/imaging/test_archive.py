import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modules.exceptions import StorageError
from modules.imaging.archive import write_archive
from modules.imaging.filenames import NameFacts

FACTS = NameFacts(now=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), seed=1, all_seeds=(1, 2), model_name="v1-5")


def test_pictures_and_their_texts_are_packed_under_the_pattern_s_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(folder.encode())
    (tmp_path / "a" / "1.txt").write_text("parameters")

    path = write_archive([tmp_path / "a" / "1.png", tmp_path / "b" / "1.png"], tmp_path / "out", FACTS)

    assert path.name == "20240506070809_[v1-5]_1-2.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["1.png", "1.txt", "1-1.png"]
        assert archive.read("1-1.png") == b"b"


def test_an_archive_never_replaces_another(tmp_path: Path) -> None:
    names = [write_archive([], tmp_path, FACTS, pattern="../x/[seed]").name for _ in range(2)]

    assert names == ["x_1.zip", "x_1-1.zip"]


def test_a_missing_picture_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.png"):
        write_archive([tmp_path / "gone.png"], tmp_path, FACTS)

    assert list(tmp_path.iterdir()) == []
