"""Headers of safetensors files: read when sound, refused with a reason when not."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from modules.checkpoints.reader import MAX_HEADER_BYTES, MAX_TENSORS, MappedWeights, read_header
from modules.exceptions import CheckpointError


def _file(folder: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def _entry(begin: int, end: int, shape: list[int], dtype: str = "U8") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_names_formats_shapes_and_metadata_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(2, 3, dtype=torch.float16), "b": torch.tensor(1)}, path, {"k": "v"})
    header = read_header(path)
    assert {name: (info.dtype, info.shape) for name, info in header.tensors.items()} == {
        "a": ("F16", (2, 3)),
        "b": ("I64", ()),
    }
    assert header.metadata == {"k": "v"}


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
     torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool],
)  # fmt: skip
def test_tensors_of_every_format_come_out_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "model.safetensors"
    tensor = torch.arange(24).reshape(2, 3, 4).to(dtype)
    save_file({"odd": torch.ones(3, dtype=torch.uint8), "x": tensor, "empty": torch.zeros(0, 2)}, path)
    weights = MappedWeights(path)
    read = weights.tensor("x")
    assert read.dtype == dtype
    assert torch.equal(read.view(torch.uint8), tensor.view(torch.uint8))
    assert weights.tensor("empty").shape == (0, 2)


def test_a_tensor_at_an_odd_place_in_the_file_is_read(tmp_path: Path) -> None:
    values = torch.tensor([1.5, -2.0])
    entries = {"a": _entry(0, 1, [1]), "x": _entry(1, 9, [2], "F32")}
    text = json.dumps(entries).encode()
    path = _file(tmp_path, text + b" " * (-len(text) % 8), b"\0" + values.numpy().tobytes())
    assert MappedWeights(path).tensor("x").tolist() == [1.5, -2.0]


def test_changing_a_mapped_tensor_does_not_change_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"x": torch.ones(1000)}, path)
    before = path.read_bytes()
    MappedWeights(path).tensor("x").zero_()
    assert path.read_bytes() == before
    assert MappedWeights(path).tensor("x").sum() == 1000


HOSTILE = {
    "empty": b"",
    "seven bytes": b"1234567",
    "no header": (2).to_bytes(8, "little"),
    "header longer than the file": (1000).to_bytes(8, "little") + b"{}",
    "header of nearly 2**64 bytes": (2**64 - 1).to_bytes(8, "little") + b"{}" * 50,
    "a pickle": b"\x80\x02}q\x00." * 20,
    "a web page": b"<!DOCTYPE html><html><head><title>404</title></head></html>",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"^model\.safetensors: .*again"):
        read_header(path)


BROKEN_HEADERS: dict[str, object] = {
    "no JSON": b"{nonsense}",
    "no object": [1, 2],
    "not UTF-8": b'{"\xff": 1}',
    "nested too deeply": b"[" * 200_000,
    "a name twice": b'{"a": 1, "a": 2}',
    "a number that is no text in the metadata": {"__metadata__": {"a": 1}},
    "metadata that is a list": {"__metadata__": []},
    "no description": {"a": 3},
    "an unknown format": {"a": _entry(0, 1, [1], "F12")},
    "a format that is a list": {"a": {"dtype": [], "shape": [1], "data_offsets": [0, 1]}},
    "a negative side": {"a": _entry(0, 1, [-1])},
    "a fractional side": {"a": {"dtype": "U8", "shape": [1.0], "data_offsets": [0, 1]}},
    "a boolean side": {"a": {"dtype": "U8", "shape": [True], "data_offsets": [0, 1]}},
    "nine dimensions": {"a": _entry(0, 1, [1] * 9)},
    "sides whose product overflows": {"a": _entry(0, 8, [2**62, 2**62])},
    "one offset": {"a": {"dtype": "U8", "shape": [1], "data_offsets": [0]}},
    "offsets the wrong way round": {"a": _entry(4, 2, [2])},
    "data beyond the end": {"a": _entry(0, 9, [9])},
    "a size that does not fit the shape": {"a": _entry(0, 4, [3])},
    "two tensors in one place": {"a": _entry(0, 4, [4]), "b": _entry(3, 5, [2])},
    "one tensor inside another": {"a": _entry(0, 8, [8]), "b": _entry(2, 4, [2])},
}


@pytest.mark.parametrize("header", BROKEN_HEADERS.values(), ids=BROKEN_HEADERS)
def test_a_broken_header_is_refused(tmp_path: Path, header: object) -> None:
    with pytest.raises(CheckpointError, match=r"^model\.safetensors: "):
        read_header(_file(tmp_path, header, b"\0" * 8))


def test_a_header_beyond_16_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write((MAX_HEADER_BYTES + 1).to_bytes(8, "little"))
        file.truncate(MAX_HEADER_BYTES + 100)
    with pytest.raises(CheckpointError, match="claims a header of 16777217 bytes"):
        read_header(path)


def test_too_many_tensors_are_refused(tmp_path: Path) -> None:
    header = {str(i): _entry(0, 0, [0]) for i in range(MAX_TENSORS + 1)}
    with pytest.raises(CheckpointError, match="claims 65537 tensors"):
        read_header(_file(tmp_path, header))


def test_a_file_cut_off_in_its_data_is_refused_with_that_reason(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"x": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="cut off"):
        read_header(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_header(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, 400), value=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused_but_never_more(tmp_path: Path, position: int, value: int) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(3), "b": torch.ones(2, 2, dtype=torch.float16)}, path, {"k": "v"})
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    try:
        weights = MappedWeights(path)
        sizes = [weights.tensor(name).numel() for name in weights]
    except CheckpointError:
        return
    assert sum(sizes) <= len(content)
