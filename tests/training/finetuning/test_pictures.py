import json
from pathlib import Path

import pytest
from PIL import Image

from modules.exceptions import TrainingError
from modules.training.finetuning.pictures import name_words, read_picture, read_pictures
from modules.training.finetuning.recipe import DataChoice
from tests.training.finetuning.folders import draw, subject


def _read(folder: Path, word: str = "", **choice: object) -> dict[str, str]:
    found = read_pictures(DataChoice.model_validate({"folder": str(folder), **choice}), word)
    return {picture.path.name: picture.caption for picture in found.pictures}


def test_captions_come_from_text_files_metadata_folders_and_names_in_this_order(tmp_path: Path) -> None:
    for name in ("one.png", "two.png", "12_red-fox.png", "5_old_oak/3.png"):
        draw(tmp_path / name)
    (tmp_path / "one.txt").write_text("a grey cat,\n sleeping", encoding="utf-8")
    lines = [{"file_name": "one.png", "text": "not this"}, {"file_name": "two.png", "text": "a dog"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert _read(tmp_path) == {
        "one.png": "a grey cat, sleeping",
        "two.png": "a dog",
        "12_red-fox.png": "red fox",
        "3.png": "old oak",
    }


def test_a_folder_with_a_number_repeats_its_pictures(tmp_path: Path) -> None:
    draw(tmp_path / "5_oak" / "a.png")
    draw(tmp_path / "b.png")
    found = read_pictures(DataChoice(folder=str(tmp_path), repeats=2), "")
    assert {picture.path.name: picture.repeats for picture in found.pictures} == {"a.png": 10, "b.png": 2}


def test_pictures_known_by_their_file_name_alone_are_named(tmp_path: Path) -> None:
    draw(tmp_path / "tower.png")
    subject(tmp_path, 1)
    assert read_pictures(DataChoice(folder=str(tmp_path)), "").notes == (
        "The file's name is the caption of tower.png.",
    )


def test_everything_that_is_wrong_is_said_at_once_with_file_names(tmp_path: Path) -> None:
    subject(tmp_path, 1)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    draw(tmp_path / "0042.jpg")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "gone.png", "text": "x"}\nno json\n')
    with pytest.raises(TrainingError) as refused:
        _read(tmp_path)
    for said in ("broken.png cannot be read", "0042.jpg", "gone.png", "wrong: 2"):
        assert said in str(refused.value)


def test_a_list_of_captions_that_is_no_text_is_named(tmp_path: Path) -> None:
    subject(tmp_path, 1)
    (tmp_path / "metadata.jsonl").write_bytes(b'{"file_name": "0.png", "text": "\xff\xfe"}')
    with pytest.raises(TrainingError, match=r"metadata\.jsonl cannot be read as UTF-8"):
        _read(tmp_path)


def test_a_listed_picture_that_is_damaged_is_not_called_missing(tmp_path: Path) -> None:
    subject(tmp_path, 1)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "broken.png", "text": "x"}', encoding="utf-8")
    with pytest.raises(TrainingError, match=r"broken\.png cannot be read") as refused:
        _read(tmp_path)
    assert "not there" not in str(refused.value)


def test_a_trigger_word_makes_captions_needless(tmp_path: Path) -> None:
    draw(tmp_path / "0042.png")
    assert _read(tmp_path, "zorblax") == {"0042.png": ""}


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_without_pictures_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match=folder):
        _read(tmp_path / folder)


def test_a_mask_beside_a_picture_is_no_picture_and_must_be_readable(tmp_path: Path) -> None:
    subject(tmp_path, 1)
    mask = draw(tmp_path / "0.mask.png")
    (picture,) = read_pictures(DataChoice(folder=str(tmp_path)), "").pictures
    assert picture.mask == mask
    mask.write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"0\.mask\.png"):
        _read(tmp_path)
    assert _read(tmp_path, masks=False) == {"0.png": "a thing, number 0"}


def test_transparent_pictures_are_put_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((0, 0), (255, 0, 0, 255))
    image.save(tmp_path / "a.png")
    shown, opacity = read_picture(tmp_path / "a.png")
    assert shown.getpixel((0, 0)) == (255, 0, 0)
    assert shown.getpixel((3, 3)) == (255, 255, 255)
    assert opacity is not None
    assert opacity.getpixel((0, 0)) == 255


@pytest.mark.parametrize(
    ("stem", "words"), [("00012-red_fox", "red fox"), ("3 cats", "cats"), ("my-dog", "my dog"), ("0001", "")]
)
def test_numbers_before_a_name_are_no_words(stem: str, words: str) -> None:
    assert name_words(stem) == words
