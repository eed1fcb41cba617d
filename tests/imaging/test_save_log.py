import csv
from pathlib import Path

from modules.imaging.save_log import LogLine, SaveLog

LINE = LogLine(
    'a "cat",\nhere', 42, 512, 768, "Euler a", 7.0, 20, "00001-42.png", "bad", "v1-5", "6ce0161689"
)


def rows_of(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_every_saved_picture_is_a_line_below_the_header(tmp_path: Path) -> None:
    log = SaveLog(tmp_path / "images")

    log.append(LINE)
    log.append(LINE)

    rows = rows_of(tmp_path / "images")
    assert ",".join(rows[0]) == (
        "prompt,seed,width,height,sampler,cfgs,steps,filename,negative_prompt,sd_model_name,sd_model_hash"
    )
    assert rows[1] == rows[2]
    assert rows[1][:3] == ['a "cat",\nhere', "42", "512"]
    assert len(rows) == 3


def test_an_old_file_with_fewer_columns_is_widened(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('prompt,seed\n"a, b",1\n', encoding="utf-8")

    SaveLog(tmp_path).append(LINE)

    rows = rows_of(tmp_path)
    assert [len(row) for row in rows] == [11, 11, 11]
    assert rows[1][:3] == ["a, b", "1", ""]


def test_a_prompt_is_never_a_formula(tmp_path: Path) -> None:
    SaveLog(tmp_path).append(LogLine("=cmd()", 1, 8, 8, "", 1.0, 1, "", "@x", "", ""))

    row = rows_of(tmp_path)[1]
    assert (row[0], row[8]) == ("'=cmd()", "'@x")
