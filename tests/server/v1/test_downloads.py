import io
import zipfile
from pathlib import Path

import pytest

from tests.server.studio import Studio
from tests.server.test_files import finished_picture, session

ZIP = "/api/v1/pictures/zip"


def test_chosen_pictures_come_in_one_file_with_their_texts(studio: Studio) -> None:
    images = [finished_picture(studio, "ann") for _ in range(3)]
    Path(images[0].path).with_suffix(".txt").write_text("parameters")
    ids = [images[0].id, images[2].id, images[0].id]
    answer = studio.post(ZIP, {"ids": ids}, headers=session(studio, "ann"))
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = [Path(images[0].path).name, Path(images[0].path).stem + ".txt", Path(images[2].path).name]
        assert archive.namelist() == names
        assert archive.read(names[2]) == Path(images[2].path).read_bytes()
        assert archive.testzip() is None


def test_other_peoples_pictures_are_not_packed(studio: Studio) -> None:
    mine, theirs = finished_picture(studio, "ann"), finished_picture(studio, "bob")
    for ids in ([mine.id, theirs.id], [mine.id, "unknown"], ["../../etc/passwd"]):
        assert studio.post(ZIP, {"ids": ids}, headers=session(studio, "ann")).status_code == 404


@pytest.mark.parametrize("ids", [[], None, "x", ["x"] * 1001, [1]])
def test_a_selection_has_one_to_a_thousand_ids(standing: Studio, ids: object) -> None:
    answer = standing.post(ZIP, {"ids": ids}, headers=session(standing, "ann"))
    assert answer.status_code == 422
    assert "ids" in answer.json()["detail"][0]["loc"]
