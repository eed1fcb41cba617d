import gc
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from modules.exceptions import NotFoundError, RequestError, StorageError
from modules.imaging.blobs import BlobStore
from modules.imaging.files import write_replacing
from modules.imaging.metadata import encode_image


@pytest.fixture(autouse=True)
def _one_helper(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is to be done beside other work is done in the order in which it came."""
    with ThreadPoolExecutor(1) as helper:
        monkeypatch.setattr("modules.imaging.blobs.helpers", lambda: helper)
        yield


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


def test_who_wants_what_could_not_be_stored_hears_why_and_its_bytes_are_let_go(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, *, durable: bool) -> None:
        raise StorageError(path, "The disk is full.")

    content = bytes(100)
    holders = sys.getrefcount(content)
    with monkeypatch.context() as patch:
        patch.setattr("modules.imaging.blobs.write_replacing", full)
        lost = store.put_soon(content)
        with pytest.raises(StorageError, match="disk is full"):
            store.wait_for(lost)
    store.wait_for(store.put_soon(b"more"))
    with pytest.raises(StorageError, match="disk is full"):
        store.read(lost)
    gc.collect()
    assert sys.getrefcount(content) == holders


def test_a_slow_disk_holds_up_who_stores_more_and_more(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()

    def slow(path: Path, content: bytes, *, durable: bool) -> None:
        may_write.wait(30)

    monkeypatch.setattr("modules.imaging.blobs.write_replacing", slow)
    monkeypatch.setattr("modules.imaging.blobs._MOST_ARRIVING", 2)
    for _ in range(2):
        store.put_soon(b"content")
    third = threading.Thread(target=store.put_soon, args=(b"content",))
    third.start()
    third.join(0.1)
    assert third.is_alive()
    may_write.set()
    third.join(30)
    assert not third.is_alive()


def test_what_nobody_keeps_is_deleted_after_a_day(store: BlobStore, tmp_path: Path) -> None:
    kept, old, new = store.put(b"kept"), store.put_soon(b"old"), store.put_soon(b"new")
    for path in (old, new):
        store.wait_for(path)
    for path in (store.path(kept), old):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    later = BlobStore(tmp_path / "blobs")  # as after a restart
    later.wait_for(later.put_soon(b"another"))
    assert (old.exists(), new.exists(), kept in store) == (False, True, True)
