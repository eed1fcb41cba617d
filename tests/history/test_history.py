import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from modules.domain.job import JobState, ResultImage
from modules.domain.request import GenerationRequest, ImageToImage
from modules.exceptions import NotFoundError, RequestError, StorageError
from modules.history.bin import BIN, PictureBin
from modules.history.history import THUMBNAIL_SIDE, History
from modules.history.query import parse_query
from modules.imaging.blobs import BlobStore
from modules.jobs.board import JobBoard
from modules.jobs.queue import JobQueue, Outcome
from modules.jobs.service import JobService
from tests.history.made import infotext_of, write_picture


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "outputs", tmp_path / "data")
    yield history
    history.close()


@pytest.fixture
def jobs(tmp_path: Path, history: History) -> Iterator[JobService]:
    jobs = JobService(JobQueue(tmp_path / "data" / "queue.sqlite"), JobBoard(), archive=history)
    yield jobs
    jobs.close()


def add(history: History, outputs: Path, name: str, owner: str = "ann") -> Path:
    path = write_picture(outputs / name, infotext_of(f"picture {name}"), sum(name.encode()))
    history.add(path, owner, infotext_of(f"picture {name}"), id=name)
    return path


def ids(history: History, text: str = "", *, binned: bool = False, owner: str = "ann") -> list[str]:
    return [picture.id for picture in history.index.search(owner, parse_query(text), binned=binned).pictures]


def path_of(history: History, picture_id: str) -> Path:
    found = history.find(picture_id)
    assert found is not None
    return Path(found.image.path)


def run_job(
    jobs: JobService, path: Path, *sources: str, owner: str = "ann", image_id: str = "", index: int = 0
) -> str:
    """A job that has made this picture; returns the job's id."""
    start = ImageToImage(images=sources) if sources else None
    job_id = jobs.submit(GenerationRequest(prompt="x", image_to_image=start), owner)
    jobs.claim()
    text = infotext_of("a red apple", Seed=5)
    write_picture(path, text, len(path.name))
    jobs.add_images(job_id, ResultImage(image_id or path.stem, str(path), index, 64, 48, 5, text))
    jobs.finish(job_id, Outcome(JobState.DONE))
    return job_id


def test_what_a_job_saves_is_in_the_history_at_once(
    jobs: JobService, history: History, tmp_path: Path
) -> None:
    run_job(jobs, tmp_path / "outputs" / "txt2img-images" / "1.png", image_id="one")
    run_job(jobs, tmp_path / "outputs" / "txt2img-grids" / "grid-1.png", image_id="sheet", index=-1)
    assert ids(history, "apple seed:5") == ["sheet", "one"]
    assert ids(history, "kind:grid") == ["sheet"]
    assert ids(history, owner="bob") == []


def test_what_is_not_kept_and_what_is_no_picture_is_left_out(
    jobs: JobService, history: History, tmp_path: Path
) -> None:
    run_job(jobs, tmp_path / "data" / "blobs" / "ab.png")
    job_id = jobs.submit(GenerationRequest(), "ann")
    broken = tmp_path / "outputs" / "broken.png"
    broken.parent.mkdir(exist_ok=True)
    broken.write_bytes(b"no picture")
    jobs.add_images(job_id, ResultImage("a", str(broken), 0, 1, 1, 1, ""))
    jobs.add_images(job_id, ResultImage("b", str(tmp_path / "outputs" / "missing.png"), 0, 1, 1, 1, ""))
    assert ids(history) == []


def test_a_picture_knows_what_it_was_made_from(jobs: JobService, history: History, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    run_job(jobs, outputs / "first.png")
    blob = BlobStore(tmp_path / "blobs").put((outputs / "first.png").read_bytes())
    run_job(jobs, outputs / "second.png", blob)
    first, second = history.index.pictures(["first", "second"], "ann")
    assert history.index.parents(second) == [first]
    assert history.index.children(first) == [second]


def test_the_picture_of_a_job_is_found_wherever_its_file_lies(
    jobs: JobService, history: History, tmp_path: Path
) -> None:
    path = tmp_path / "outputs" / "one.png"
    job_id = run_job(jobs, path)
    assert jobs.image("one", "ann").image.path == str(path)
    history.throw_in_bin(["one"], "ann")
    found = jobs.image("one", "ann")
    assert (found.job_id, found.owner) == (job_id, "ann")
    assert Path(found.image.path).read_bytes()
    assert found.image.path != str(path)


def test_a_picture_that_no_job_made_is_found_too(jobs: JobService, history: History, tmp_path: Path) -> None:
    path = add(history, tmp_path / "outputs", "found.png", "bob")
    found = jobs.image("found.png", "bob")
    assert (found.owner, found.image.path, found.image.width) == ("bob", str(path), 64)
    with pytest.raises(NotFoundError):
        jobs.image("unknown", "bob")


def test_a_deleted_picture_waits_in_the_bin_and_comes_back(history: History, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    path = add(history, outputs, "day/one.png")
    (outputs / "day" / "one.txt").write_text("its parameters")
    content = path.read_bytes()
    history.throw_in_bin(["day/one.png"], "ann")
    assert not any(file.is_file() for file in (outputs / "day").rglob("*"))
    assert (ids(history), ids(history, binned=True)) == ([], ["day/one.png"])
    assert path_of(history, "day/one.png").read_bytes() == content
    history.throw_in_bin(["day/one.png"], "ann")  # twice is once
    history.restore(["day/one.png"], "ann")
    assert (path.read_bytes(), (outputs / "day" / "one.txt").read_text()) == (content, "its parameters")
    assert (ids(history), ids(history, binned=True)) == (["day/one.png"], [])
    assert list((outputs / BIN).rglob("*")) == []


def test_a_picture_comes_back_beside_a_newer_one_of_its_name(history: History, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    old = add(history, outputs, "one.png").read_bytes()
    history.throw_in_bin(["one.png"], "ann")
    newer = write_picture(outputs / "one.png", "newer", 7).read_bytes()
    history.restore(["one.png"], "ann")
    assert (outputs / "one.png").read_bytes() == newer
    assert path_of(history, "one.png") == outputs / "one-1.png"
    assert path_of(history, "one.png").read_bytes() == old


def test_emptying_the_bin_deletes_ones_own_pictures_for_good(history: History, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    for name, owner in (("mine.png", "ann"), ("kept.png", "ann"), ("yours.png", "bob")):
        add(history, outputs, name, owner)
        history.thumbnail(name, owner)
    history.throw_in_bin(["mine.png"], "ann")
    history.throw_in_bin(["yours.png"], "bob")
    assert history.empty_bin("ann") == 1
    assert [file.name for file in sorted(outputs.rglob("*.png"))] == ["yours.png", "kept.png"]
    assert len(list((tmp_path / "data" / "thumbnails").rglob("*.webp"))) == 2
    assert ids(history, binned=True) == []
    assert ids(history, binned=True, owner="bob") == ["yours.png"]


@pytest.mark.parametrize("is_known", [True, False])
def test_anothers_picture_of_the_same_stem_is_no_part_of_ones_own(
    history: History, tmp_path: Path, is_known: bool
) -> None:
    outputs = tmp_path / "outputs"
    add(history, outputs, "7-cat.png")
    theirs = write_picture(outputs / "7-cat.jpg", infotext_of("another cat"))
    if is_known:
        history.add(theirs, "bob", infotext_of("another cat"), id="theirs")
    (outputs / "7-cat.txt").write_text("of one of the two")
    history.throw_in_bin(["7-cat.png"], "ann")
    assert history.empty_bin("ann") == 1
    assert sorted(path.name for path in outputs.rglob("*.*")) == ["7-cat.jpg", "7-cat.txt"]


def test_a_picture_and_its_companions_go_and_come_back_together(history: History, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    add(history, outputs, "one.png")
    write_picture(outputs / "one.jpg", infotext_of("picture one.png"))
    (outputs / "one.txt").write_text("old")
    history.throw_in_bin(["one.png"], "ann")
    assert [path.name for path in outputs.iterdir()] == [BIN]
    (outputs / "one.txt").write_text("of a newer picture")
    history.restore(["one.png"], "ann")
    names = sorted(path.name for path in outputs.iterdir() if path.is_file())
    assert names == ["one-1.jpg", "one-1.png", "one-1.txt", "one.txt"]
    assert [(outputs / name).read_text() for name in names[2:]] == ["old", "of a newer picture"]


@pytest.mark.parametrize("action", ["throw_in_bin", "restore"])
def test_nobody_moves_anothers_pictures(history: History, tmp_path: Path, action: str) -> None:
    path = add(history, tmp_path / "outputs", "one.png")
    add(history, tmp_path / "outputs", "two.png", "bob")
    with pytest.raises(NotFoundError):
        getattr(history, action)(["two.png", "one.png"], "bob")
    assert path.is_file()


@pytest.mark.parametrize("path", ["../secret.png", "link/secret.png", "link.png", "missing.png", "folder"])
def test_nothing_outside_the_outputs_is_moved(tmp_path: Path, path: str) -> None:
    secret = write_picture(tmp_path / "secret.png", "secret")
    outputs = tmp_path / "outputs"
    (outputs / "folder").mkdir(parents=True)
    (outputs / "link").symlink_to(tmp_path)
    (outputs / "link.png").symlink_to(secret)
    with pytest.raises(NotFoundError):
        PictureBin(outputs, bool).throw_in(path)
    PictureBin(outputs, bool).destroy(f"{BIN}/../../secret.png")
    with pytest.raises(StorageError):
        PictureBin(outputs, bool).destroy("folder/x.png")
    assert secret.is_file()


def test_a_thumbnail_is_small_and_made_once(history: History, tmp_path: Path) -> None:
    path = tmp_path / "outputs" / "wide.png"
    path.parent.mkdir()
    Image.new("RGB", (1000, 500), (200, 10, 10)).save(path)
    history.add(path, "ann", "", id="wide")
    first = history.thumbnail("wide", "ann")
    with Image.open(io.BytesIO(first)) as small:
        assert (small.format, small.size) == ("WEBP", (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 2))
    path.unlink()
    assert history.thumbnail("wide", "ann") == first


def test_a_picture_whose_file_is_gone_is_forgotten_when_it_is_deleted(
    history: History, tmp_path: Path
) -> None:
    add(history, tmp_path / "outputs", "one.png").unlink()
    add(history, tmp_path / "outputs", "two.png")
    with pytest.raises(NotFoundError):
        history.thumbnail("one.png", "ann")
    history.throw_in_bin(["one.png", "two.png"], "ann")
    assert (ids(history), ids(history, binned=True)) == ([], ["two.png"])


def test_a_damaged_file_has_no_thumbnail(history: History, tmp_path: Path) -> None:
    path = add(history, tmp_path / "outputs", "one.png")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(RequestError):
        history.thumbnail("one.png", "ann")


def test_a_new_history_is_filled_from_the_files_by_itself(tmp_path: Path) -> None:
    write_picture(tmp_path / "outputs" / "txt2img-images" / "a.png", infotext_of("from before"))
    for expected in (1, 2):  # the second time it is complete, and what comes otherwise waits for a rebuild
        history = History(tmp_path / "outputs", tmp_path / "data")
        history.start()
        if expected == 1:
            assert history.worker is not None
            history.worker.join(60)
        assert len(ids(history, "before", owner="local")) == 1
        assert (history.worker is None) == (expected == 2)
        history.close()
