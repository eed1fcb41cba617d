from collections.abc import Iterator
from pathlib import Path

import pytest

from modules import cli
from modules.domain.job import JobState, ResultImage
from modules.domain.request import GenerationRequest, ImageToImage
from modules.history.bin import BIN
from modules.history.history import History
from modules.history.index import HistoryIndex
from modules.history.query import parse_query
from modules.history.rebuild import Rebuilt, known_results, picture_kind, rebuild, request_sources
from modules.imaging.blobs import BlobStore
from modules.jobs.board import JobBoard
from modules.jobs.queue import JobQueue, Outcome
from modules.jobs.results import stored_results
from modules.jobs.service import JobService
from tests.history.made import infotext_of, new_picture, write_picture


@pytest.fixture
def index(tmp_path: Path) -> Iterator[HistoryIndex]:
    index = HistoryIndex(tmp_path / "history.sqlite")
    yield index
    index.close()


def names(index: HistoryIndex, text: str = "", owner: str = "local", *, binned: bool = False) -> set[str]:
    page = index.search(owner, parse_query(text), binned=binned)
    return {picture.name for picture in page.pictures}


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "avif"])
def test_parameters_are_read_from_every_format(index: HistoryIndex, tmp_path: Path, suffix: str) -> None:
    outputs = tmp_path / "outputs"
    path = write_picture(
        outputs / "deep" / "er" / f"a.{suffix}", infotext_of("a café 苹果", "hands", Seed=77)
    )
    done = rebuild(index, outputs)
    assert done == Rebuilt(added=1)
    (picture,) = index.search("local", parse_query("cafe 苹果 seed:77 neg:hands cfg=7")).pictures
    assert (picture.width, picture.height, picture.kind) == (64, 48, "other")
    assert picture.created == path.stat().st_mtime
    assert index.store.is_complete


def test_what_is_no_picture_of_ours_stays_out(index: HistoryIndex, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    write_picture(outputs / "init-images" / "start.png", "")
    write_picture(outputs / ".hidden" / "x.png", "")
    write_picture(outputs / "large.png", infotext_of("large"))
    write_picture(outputs / "large.jpg", infotext_of("large"))
    (outputs / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 100)
    (outputs / "page.html").write_text("<script>")
    assert rebuild(index, outputs) == Rebuilt(added=1, unreadable=1)
    assert names(index) == {"large.png"}


def test_a_jpeg_of_its_own_beside_a_png_is_no_smaller_copy(index: HistoryIndex, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    write_picture(outputs / "7-cat.png", infotext_of("a cat"))
    jpeg = write_picture(outputs / "7-cat.jpg", infotext_of("another cat"))
    assert rebuild(index, outputs) == Rebuilt(added=2)
    jpeg.write_bytes(jpeg.read_bytes() + b"edited")
    assert rebuild(index, outputs) == Rebuilt()
    assert names(index) == {"7-cat.png", "7-cat.jpg"}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("txt2img-images/2026/a.png", "txt2img"),
        ("img2img-images/a.png", "img2img"),
        ("extras-images/a.png", "extras"),
        ("txt2img-grids/a.png", "grid"),
        (f"{BIN}/img2img-images/a.png", "img2img"),
        ("txt2img.png", "other"),
    ],
)
def test_the_folder_tells_what_made_a_picture(path: str, kind: str) -> None:
    assert picture_kind(path) == kind


def test_the_owner_is_told_by_folder_or_parameters_else_it_is_the_default(
    index: HistoryIndex, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs"
    write_picture(outputs / "ann" / "a.png", infotext_of("a"), 1)
    write_picture(outputs / "b.png", infotext_of("b", User="bob"), 2)
    write_picture(outputs / "eve" / "c.png", infotext_of("c", User="mallory"), 3)
    rebuild(index, outputs, owners=("ann", "bob"), default_owner="root")
    assert names(index, owner="ann") == {"a.png"}
    assert names(index, owner="bob") == {"b.png"}
    assert names(index, owner="root") == {"c.png"}


def test_files_that_were_renamed_keep_their_stars_and_files_that_are_gone_go(
    index: HistoryIndex, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs"
    for number, name in enumerate(("kept", "renamed", "deleted")):
        write_picture(outputs / f"{name}.png", infotext_of(name), number)
    rebuild(index, outputs)
    index.star(index.search("local", parse_query("")).pictures, True)
    (outputs / "renamed.png").rename(outputs / "other.png")
    (outputs / "deleted.png").unlink()
    write_picture(outputs / "new.png", infotext_of("new"), 9)
    assert rebuild(index, outputs) == Rebuilt(added=1, moved=1, gone=1)
    assert names(index, "is:starred") == {"kept.png", "other.png"}
    assert names(index) == {"kept.png", "other.png", "new.png"}
    assert rebuild(index, outputs) == Rebuilt()


def test_an_empty_folder_does_not_empty_the_index(index: HistoryIndex, tmp_path: Path) -> None:
    index.add([new_picture(1)])
    (tmp_path / "outputs").mkdir()
    assert rebuild(index, tmp_path / "outputs") == Rebuilt()
    assert names(index, owner="ann") == {"00001.png"}


def test_a_stopped_rebuild_goes_on_the_next_time(index: HistoryIndex, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    for number in range(150):
        write_picture(outputs / f"{number}.png", infotext_of("x"), number)
    stops = iter([False, True])
    assert rebuild(index, outputs, is_stopped=lambda: next(stops)).added == 100
    assert not index.store.is_complete
    assert rebuild(index, outputs).added == 50
    assert index.store.is_complete


def test_files_and_queue_give_back_what_a_lost_index_knew(tmp_path: Path) -> None:
    """Ids, owners, bin and lineage are the same before the index is lost and after."""
    outputs, data = tmp_path / "outputs", tmp_path / "data"
    history = History(outputs, data)
    jobs = JobService(JobQueue(data / "queue.sqlite"), JobBoard(), archive=history)
    blobs = BlobStore(data / "blobs")
    source: tuple[str, ...] = ()
    for number, owner in enumerate(("ann", "ann", "bob")):
        start = ImageToImage(images=source) if source else None
        job_id = jobs.submit(GenerationRequest(image_to_image=start), owner)
        jobs.claim()
        text = infotext_of(f"picture {number}")
        path = write_picture(outputs / "txt2img-images" / f"{number}.png", text, number)
        jobs.add_images(job_id, ResultImage(f"id{number}", str(path), 0, 64, 48, 1, text))
        jobs.finish(job_id, Outcome(JobState.DONE))
        source = (blobs.put(path.read_bytes()),)
    history.throw_in_bin(["id0"], "ann")
    before = _all_of(history.index)
    history.close()
    jobs.close()
    (data / "history.sqlite").write_bytes(b"damaged" * 1000)
    index = HistoryIndex(data / "history.sqlite")
    rebuild(index, outputs, known=known_results(stored_results(data / "queue.sqlite"), outputs))
    assert _all_of(index) == before
    assert [kept[0] for kept in before] == ["id0", "id1", "id2"]
    assert before[0][-1] == ("id1",)
    index.close()


def _all_of(index: HistoryIndex) -> list[tuple[object, ...]]:
    found = [index.find(f"id{number}") for number in range(3)]
    return [
        (
            picture.id, picture.owner, picture.path, picture.kind, picture.created, picture.infotext,
            picture.binned is not None, tuple(child.id for child in index.children(picture)),
        )
        for picture in found if picture is not None
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "sources"),
    [
        ('{"image_to_image": {"images": ["a", "b", "a"]}}', ("a", "b")),
        ('{"image_to_image": null, "origins": ["c"]}', ("c",)),
        ('{"image_to_image": {"images": ["a"]}, "origins": ["c", "a"]}', ("a", "c")),
        ('{"image_to_image": {"images": [1, null]}}', ()),
        ('{"image_to_image": 7}', ()),
        ("[]", ()),
        ("no JSON", ()),
    ],
)
def test_a_request_names_what_its_pictures_are_made_from(payload: str, sources: tuple[str, ...]) -> None:
    assert request_sources(payload) == sources


def test_a_queue_that_is_missing_or_damaged_knows_nothing(tmp_path: Path) -> None:
    assert list(stored_results(tmp_path / "queue.sqlite")) == []
    (tmp_path / "queue.sqlite").write_bytes(b"x" * 5000)
    assert list(stored_results(tmp_path / "queue.sqlite")) == []


def test_the_command_rebuilds_and_says_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_start_logging", lambda *_, **__: None)
    write_picture(tmp_path / "outputs" / "a.png", infotext_of("a red apple"))
    status = cli.main(["--data-dir", str(tmp_path), "history", "rebuild", "--owner", "ann"])
    assert status == 0
    assert "Pictures added: 1;" in capsys.readouterr().out
    index = HistoryIndex(tmp_path / "data" / "history.sqlite")
    assert names(index, "apple", "ann") == {"a.png"}
    index.close()
