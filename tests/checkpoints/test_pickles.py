"""Pickled files come in through one gate or not at all."""

import os
import pickle
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.checkpoints.pickle_gate import Collector, Refused, collect_weights
from modules.checkpoints.pickles import PickleGate
from modules.checkpoints.reader import MappedWeights
from modules.exceptions import CheckpointError

GOLDEN = Path(__file__).parents[1] / "golden"


class Runs:
    """A pickle of this calls a function when it is opened."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


@pytest.fixture
def gate(tmp_path: Path) -> PickleGate:
    return PickleGate(tmp_path / "cache")


def _saved(folder: Path, content: object, *, zipped: bool = True) -> Path:
    path = folder / "model.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_becomes_safetensors(tmp_path: Path, gate: PickleGate, zipped: bool) -> None:
    weights = {"a.b": torch.randn(3, 4).half(), "n": torch.tensor(3)}
    path = _saved(tmp_path, {"state_dict": weights, "global_step": 7, "note": "text"}, zipped=zipped)
    copy = MappedWeights(gate.as_safetensors(path))
    assert set(copy) == {"a.b", "n"}
    assert torch.equal(copy.tensor("a.b"), weights["a.b"])


def test_the_copy_is_kept_until_the_file_changes(tmp_path: Path, gate: PickleGate) -> None:
    path = _saved(tmp_path, {"a": torch.zeros(2)})
    copy = gate.as_safetensors(path)
    made = copy.stat().st_mtime_ns
    assert gate.as_safetensors(path) == copy
    assert copy.stat().st_mtime_ns == made
    os.utime(path, (1, 1))
    assert gate.as_safetensors(path) != copy


class CountingOpener:
    """Writes what the other process would."""

    def __init__(self) -> None:
        self.made: list[Path] = []
        self.both_ask = threading.Barrier(2)

    def rewrite(self, source: Path, target: Path, mode: str, **limits: int) -> None:
        self.made.append(target)
        save_file({"a": torch.zeros(2)}, target)
        with suppress(threading.BrokenBarrierError):
            self.both_ask.wait(0.5)  # a second conversion would come here too


def test_threads_that_want_the_same_file_get_one_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = CountingOpener()
    monkeypatch.setattr("modules.checkpoints.pickles.PickleOpener", lambda: opener)
    gate, path = PickleGate(tmp_path / "cache"), _saved(tmp_path, {"a": torch.zeros(2)})
    with ThreadPoolExecutor(2) as threads:
        copies = list(threads.map(gate.as_safetensors, [path, path]))
    assert copies[0] == copies[1]
    assert len(opener.made) == 1


def test_code_in_a_pickle_does_not_run(tmp_path: Path, gate: PickleGate) -> None:
    witness = tmp_path / "witness"
    path = _saved(tmp_path, {"state_dict": {"a": Runs(os.mkdir, str(witness))}})
    with pytest.raises(CheckpointError, match=r"^model\.ckpt: was refused: it wants to run posix\.mkdir"):
        gate.as_safetensors(path)
    assert not witness.exists()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_bare_pickle_is_refused_too(tmp_path: Path, gate: PickleGate) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(pickle.dumps({"a": Runs(socket.socket)}))
    with pytest.raises(CheckpointError, match="was refused"):
        gate.as_safetensors(path)


REFUSED: dict[str, tuple[object, str]] = {
    "a tensor larger than its data": ({"a": torch.zeros(1).expand(10**9)}, "not contiguous"),
    "many views of one tensor": (dict.fromkeys("abcdefgh", torch.zeros(100_000)), "larger than the file"),
    "a transposed tensor": ({"a": torch.zeros(2, 3).t()}, "not contiguous"),
    "a sparse tensor": ({"a": torch.eye(3).to_sparse()}, "not dense"),
    "a complex tensor": ({"a": torch.zeros(2, dtype=torch.complex64)}, "number format"),
    "no tensors": ({"a": 1}, "no named tensors"),
    "a list": ([torch.zeros(1)], "not named tensors"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_only_dense_named_tensors_are_accepted(content: object, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        collect_weights(content, Collector(limit=2_000_000))


def test_a_refused_file_says_which_tensor_is_wrong(tmp_path: Path, gate: PickleGate) -> None:
    with pytest.raises(CheckpointError, match="tensor 'wide' is not contiguous"):
        gate.as_safetensors(_saved(tmp_path, {"wide": torch.zeros(1).expand(10**9)}))


@pytest.mark.parametrize("content", [b"", b"junk" * 100])
def test_junk_is_refused_with_a_sentence(tmp_path: Path, gate: PickleGate, content: bytes) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"it is cut off or holds no tensors .*\.safetensors") as caught:
        gate.as_safetensors(path)
    assert "Traceback" not in str(caught.value)


def test_a_missing_file_is_an_error_naming_it(gate: PickleGate, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.ckpt: cannot be read"):
        gate.as_safetensors(tmp_path / "none.ckpt")


def test_nested_contents_of_a_small_file_come_back_as_they_were(tmp_path: Path, gate: PickleGate) -> None:
    vectors = torch.arange(6.0).reshape(2, 3)
    content = {
        "string_to_param": {"*": vectors},
        "name": "x", "step": 5, 320: [torch.ones(2), None], "flag": True, "rate": 0.5,
    }  # fmt: skip
    tree = gate.tree(_saved(tmp_path, content))
    assert isinstance(tree, dict)
    assert {key: tree[key] for key in ("name", "step", "flag", "rate")} == {
        "name": "x", "step": 5, "flag": True, "rate": 0.5,
    }  # fmt: skip
    assert torch.equal(tree["string_to_param"]["*"], vectors)
    assert torch.equal(tree[320][0], torch.ones(2))
    assert tree[320][1] is None


@pytest.mark.parametrize("name", ["embeddings/tinyti.pt", "models/hypernetworks/tinyhn.pt"])
def test_files_written_by_the_reference_are_read(gate: PickleGate, name: str) -> None:
    tree = gate.tree(GOLDEN / name)
    assert isinstance(tree, dict)
    assert tree["name"] == Path(name).stem
