import csv
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from modules.exceptions import StorageError
from modules.imaging.save_log import LogLine, SaveLog

LINE = LogLine(
    'a "cat",\nhere', 42, 512, 768, "Euler a", 7.0, 20, "00001-42.png", "bad", "v1-5", "6ce0161689"
)


def rows_of(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_every_saved_picture_is_a_line_below_the_header(tmp_path: Path) -> None:
    log = SaveLog()

    log.append(tmp_path / "images", LINE)
    log.append(tmp_path / "images", LINE)

    rows = rows_of(tmp_path / "images")
    assert ",".join(rows[0]) == (
        "prompt,seed,width,height,sampler,cfgs,steps,filename,negative_prompt,sd_model_name,sd_model_hash"
    )
    assert rows[1] == rows[2]
    assert rows[1][:3] == ['a "cat",\nhere', "42", "512"]
    assert len(rows) == 3


def test_an_old_file_with_fewer_columns_is_widened(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('prompt,seed\n"a, b",1\n', encoding="utf-8")

    SaveLog().append(tmp_path, LINE)

    rows = rows_of(tmp_path)
    assert [len(row) for row in rows] == [11, 11, 11]
    assert rows[1][:3] == ["a, b", "1", ""]


def test_a_prompt_is_never_a_formula(tmp_path: Path) -> None:
    SaveLog().append(tmp_path, LogLine("=cmd()", 1, 8, 8, "", 1.0, 1, "", "@x", "", ""))

    row = rows_of(tmp_path)[1]
    assert (row[0], row[8]) == ("'=cmd()", "'@x")


def test_lines_of_several_threads_are_all_kept_below_one_header(tmp_path: Path) -> None:
    log = SaveLog()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda seed: log.append(tmp_path, replace(LINE, seed=seed)), range(40)))

    rows = rows_of(tmp_path)
    assert rows[0][0] == "prompt"
    assert sorted(int(row[1]) for row in rows[1:]) == list(range(40))


def test_a_file_without_an_end_of_line_gets_one(tmp_path: Path) -> None:
    SaveLog().append(tmp_path, LINE)
    path = tmp_path / "log.csv"
    path.write_bytes(path.read_bytes().removesuffix(b"\r\n"))

    SaveLog().append(tmp_path, LINE)

    assert len(rows_of(tmp_path)) == 3


def test_a_line_that_cannot_be_written_whole_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SaveLog()
    log.append(tmp_path, LINE)
    before = (tmp_path / "log.csv").read_bytes()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="disk is full"):
            log.append(tmp_path, LINE)

    assert (tmp_path / "log.csv").read_bytes() == before
