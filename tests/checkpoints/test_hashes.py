"""Hashes by which people and old pictures name files."""

import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.checkpoints.hashes import HashCache, addnet_hash, legacy_hash, sha256_of
from modules.exceptions import CheckpointError, StorageError


def test_the_legacy_hash_reads_64_kilobytes_of_the_second_megabyte(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    assert legacy_hash(path) == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]


def test_the_legacy_hash_of_a_short_file_is_that_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"short")
    assert legacy_hash(tmp_path / "a") == "e3b0c442"
    assert legacy_hash(tmp_path / "none") == "NOFILE"


def test_metadata_does_not_change_the_addnet_hash(tmp_path: Path) -> None:
    paths = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path, note in zip(paths, ("one", "quite another"), strict=True):
        save_file({"x": torch.arange(5.0)}, path, {"note": note})
    assert addnet_hash(paths[0]) == addnet_hash(paths[1])
    assert sha256_of(paths[0]) != sha256_of(paths[1])
    assert addnet_hash(paths[0]) == hashlib.sha256(torch.arange(5.0).numpy().tobytes()).hexdigest()


def test_a_hash_is_remembered_across_restarts_until_the_file_changes(tmp_path: Path) -> None:
    path, cache = tmp_path / "a", tmp_path / "deep" / "hashes.json"
    path.write_bytes(b"one")
    assert HashCache(cache).known_sha256(path) is None
    digest = HashCache(cache).sha256(path)
    assert digest == hashlib.sha256(b"one").hexdigest()
    assert HashCache(cache).known_sha256(path) == digest
    path.write_bytes(b"two!")
    assert HashCache(cache).known_sha256(path) is None
    assert HashCache(cache).sha256(path) == hashlib.sha256(b"two!").hexdigest()


def test_the_same_size_at_another_time_is_another_file(tmp_path: Path) -> None:
    path, cache = tmp_path / "a", HashCache(tmp_path / "hashes.json")
    path.write_bytes(b"one")
    cache.sha256(path)
    path.write_bytes(b"two")
    os.utime(path, (1, 1))
    assert cache.known_sha256(path) is None


@pytest.mark.parametrize("content", ["", "nonsense", "[]", '{"sha256:x": 3}'])
def test_a_damaged_cache_is_begun_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "hashes.json").write_text(content)
    (tmp_path / "a").write_bytes(b"one")
    assert HashCache(tmp_path / "hashes.json").addnet(tmp_path / "a")


def test_what_cannot_be_read_or_saved_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="none: cannot be read"):
        sha256_of(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"hashes cannot be saved"):
        HashCache(tmp_path / "file" / "hashes.json").sha256(tmp_path / "file")
