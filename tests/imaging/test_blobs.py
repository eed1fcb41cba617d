import os
from pathlib import Path

import pytest
from PIL import Image

from modules.exceptions import NotFoundError, RequestError, StorageError
from modules.imaging.blobs import BlobStore
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
