"""The processes that open pickled files: quick to ask again, and nothing is lost when one dies."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch

from modules.checkpoints import pickle_gate
from modules.checkpoints.pickle_opener import PickleOpener
from modules.checkpoints.reader import MappedWeights

GB = 2**30


def saved(path: Path) -> Path:
    torch.save({"a": torch.ones(2)}, path)
    return path


def rewritten(opener: PickleOpener, source: Path, *, seconds: int = 60) -> bool:
    """Whether the copy holds what the file held."""
    target = source.with_suffix(".safetensors")
    refused = opener.rewrite(source, target, "weights", memory=2 * GB, seconds=seconds)
    return refused is None and torch.equal(MappedWeights(target).tensor("a"), torch.ones(2))


def test_one_process_opens_file_after_file(tmp_path: Path) -> None:
    opener = PickleOpener()
    assert rewritten(opener, saved(tmp_path / "1.pt"))
    (waiting,) = opener._waiting
    bad = tmp_path / "2.pt"
    bad.write_bytes(b"junk")
    assert "holds no tensors" in str(
        opener.rewrite(bad, tmp_path / "bad", "weights", memory=2 * GB, seconds=60)
    )
    assert rewritten(opener, saved(tmp_path / "3.pt"))
    assert opener._waiting == [waiting]

    os.kill(waiting.process.pid, signal.SIGKILL)
    assert rewritten(opener, saved(tmp_path / "4.pt")), "another takes the place of one that has died"

    (waiting,) = opener._waiting
    stuck = tmp_path / "5.pt"
    os.mkfifo(stuck)  # opening it never ends
    with pytest.raises(TimeoutError):
        opener.rewrite(stuck, tmp_path / "stuck", "weights", memory=2 * GB, seconds=1)
    assert opener._waiting == []
    assert waiting.process.returncode is not None
    process = waiting.process
    del opener, waiting
    assert process.poll() is not None


def test_threads_need_not_wait_for_each_other(tmp_path: Path) -> None:
    opener = PickleOpener()
    files = [saved(tmp_path / f"{number}.pt") for number in range(2)]
    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(partial(rewritten, opener), files))
    processes = [waiting.process for waiting in opener._waiting]
    assert 1 <= len(processes) <= 2
    del opener
    assert all(process.returncode is not None for process in processes), "none outlives who asked it"


def test_the_process_ends_when_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_gate, "IDLE_SECONDS", 0.01)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pickle_gate.serve(theirs)
        assert ours.fileno() >= 0
