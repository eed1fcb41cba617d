import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from modules.exceptions import NotFoundError, RequestError, StorageError
from modules.imaging.blobs import BlobStore
from modules.imaging.files import write_replacing
from modules.imaging.metadata import encode_image


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def test_what_is_stored_comes_back(store: BlobStore) -> None:
    blob_id = store.put(b"content")

    assert store.get(blob_id) == b"content"
    assert blob_id in store


def test_the_same_content_is_stored_once(store: BlobStore, tmp_path: Path) -> None:
    assert store.put(b"content") == store.put(b"content")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_stored_picture_is_decoded(store: BlobStore) -> None:
    blob_id = store.put(encode_image(Image.new("RGB", (4, 2), (1, 2, 3)), "png"))

    assert store.image(blob_id).getpixel((0, 0)) == (1, 2, 3)
    with pytest.raises(RequestError):
        store.image(store.put(b"no picture"))


@pytest.mark.parametrize(
    "blob_id", ["", "0" * 64, "../../etc/passwd", "A" * 64, "0" * 63 + "\n", "0" * 64 + "/x"]
)
def test_an_unknown_id_is_not_found_and_leads_nowhere(store: BlobStore, blob_id: str) -> None:
    assert blob_id not in store
    with pytest.raises(NotFoundError):
        store.get(blob_id)


def test_pruning_deletes_what_was_not_used_for_longest(store: BlobStore) -> None:
    old, kept, new = store.put(b"a" * 100), store.put(b"b" * 100), store.put(b"c" * 100)
    for age, blob_id in ((3000, old), (2000, kept), (1000, new)):
        os.utime(store.path(blob_id), (1_700_000_000 - age, 1_700_000_000 - age))

    freed = store.prune(100, keep=frozenset({kept}))

    assert freed == 200
    assert (old in store, kept in store, new in store) == (False, True, False)


def test_a_full_disk_is_one_clear_sentence(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        store.put(b"content")

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_who_needs_a_blob_for_long_waits_for_the_disk_although_it_was_stored_before(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(handle: int) -> None:
        raise OSError(5, "the disk does not answer")

    monkeypatch.setattr(os, "fsync", never)
    blob_id = store.put(b"content", durable=False)
    assert store.get(blob_id) == b"content"
    assert store.put(b"content", durable=False) == blob_id
    with pytest.raises(StorageError):
        store.put(b"content")


def test_what_a_power_cut_has_cut_short_is_stored_again(store: BlobStore) -> None:
    blob_id = store.put(b"content", durable=False)
    store.path(blob_id).write_bytes(b"con")
    assert store.put(b"content", durable=False) == blob_id
    assert store.get(blob_id) == b"content"


def test_what_is_still_being_stored_is_read_at_once_and_its_file_can_be_waited_for(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()

    def slow(path: Path, content: bytes, *, durable: bool) -> None:
        may_write.wait(30)
        write_replacing(path, content, durable=durable)

    monkeypatch.setattr("modules.imaging.blobs.write_replacing", slow)
    path = store.put_soon(b"content")
    assert not path.exists()
    assert store.read(path) == b"content"
    may_write.set()
    store.wait_for(path)
    assert path.read_bytes() == store.read(path) == b"content"
    store.wait_for(path)  # nothing is stored any more


def test_who_wants_what_could_not_be_stored_hears_why(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, *, durable: bool) -> None:
        raise StorageError(path, "The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("modules.imaging.blobs.write_replacing", full)
        lost = store.put_soon(b"content")
        with pytest.raises(StorageError, match="disk is full"):
            store.wait_for(lost)
        with pytest.raises(StorageError, match="disk is full"):
            store.read(lost)
    store.wait_for(store.put_soon(b"more"))
    with pytest.raises(FileNotFoundError):  # nothing is remembered once the disk works again
        store.read(lost)
