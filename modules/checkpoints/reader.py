"""Reading safetensors files without trusting them.

The header is checked completely before anything is allocated from what it says; weights are then mapped
into memory, so that opening a file of several gigabytes takes no time and no memory of its own.
"""

import json
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor

from modules.exceptions import CheckpointError
from modules.families.header import CheckpointHeader, TensorInfo

__all__ = ["MAX_HEADER_BYTES", "MAX_TENSORS", "MappedWeights", "read_header"]

MAX_HEADER_BYTES = 16 * 2**20  # SDXL with EMA has 0.7 MiB
MAX_TENSORS = 65536  # SDXL with EMA has 5,000
MAX_DIMENSIONS = 8

DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_REMEDY = "download or copy the file again"


def read_header(path: Path) -> CheckpointHeader:
    """Names, formats, shapes and metadata of a safetensors file, all checked against the file's size.

    Raises:
        CheckpointError: the file is missing, truncated, corrupt, or not in safetensors format.
    """
    header, _ = _read_checked(path)
    return header


class MappedWeights:
    """The tensors of one safetensors file, mapped into memory on demand.

    Pages are private to the process: writing to a tensor never changes the file.
    """

    def __init__(self, path: Path) -> None:
        self.header, self._offsets = _read_checked(path)
        size = path.stat().st_size
        self._storage = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=size)

    def tensor(self, name: str) -> Tensor:
        """The named tensor, in the file's number format; shares the mapped memory where it is aligned."""
        info, start = self.header.tensors[name], self._offsets[name]
        dtype = DTYPES[info.dtype]
        length = math.prod(info.shape) * dtype.itemsize
        raw = torch.empty(0, dtype=torch.uint8).set_(self._storage, start, (length,))  # type: ignore[call-overload]
        if start % dtype.itemsize:
            raw = raw.clone()
        return raw.view(dtype).view(info.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.header.tensors)


def _read_checked(path: Path) -> tuple[CheckpointHeader, dict[str, int]]:
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if size < 10 or not 2 <= length <= size - 8:
                raise CheckpointError(path, f"is no safetensors file or is cut off ({size} bytes); {_REMEDY}")
            if length > MAX_HEADER_BYTES:
                raise CheckpointError(
                    path, f"claims a header of {length} bytes, more than any model needs; {_REMEDY}"
                )
            text = file.read(length)
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror or error}") from error
    tree = _parse(path, text)
    metadata = _metadata(path, tree.pop("__metadata__", {}))
    if len(tree) > MAX_TENSORS:
        raise CheckpointError(path, f"claims {len(tree)} tensors, more than any model has; {_REMEDY}")
    tensors, spans = {}, []
    for name, entry in tree.items():
        tensors[name], begin, end = _entry(path, name, entry, size - 8 - length)
        spans.append((begin, end, name))
    _refuse_overlaps(path, spans)
    offsets = {name: 8 + length + begin for begin, _, name in spans}
    return CheckpointHeader(path, tensors, metadata), offsets


def _parse(path: Path, text: bytes) -> dict[str, object]:
    try:
        tree = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"has a corrupt header ({error}); {_REMEDY}") from error
    if not isinstance(tree, dict):
        raise CheckpointError(path, f"has a header that is no JSON object; {_REMEDY}")
    return tree


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("a name occurs twice")
    return tree


def _metadata(path: Path, tree: object) -> dict[str, str]:
    if not isinstance(tree, dict) or not all(isinstance(value, str) for value in tree.values()):
        raise CheckpointError(path, f"has metadata that is not text; {_REMEDY}")
    return tree


def _entry(path: Path, name: str, entry: object, available: int) -> tuple[TensorInfo, int, int]:
    def broken(what: str) -> CheckpointError:
        return CheckpointError(path, f"tensor {name[:200]!r} {what}; {_REMEDY}")

    if not isinstance(entry, dict):
        raise broken("has no description")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise broken(f"has the unknown number format {str(dtype)[:40]!r}")
    if not _are_naturals(shape) or len(shape) > MAX_DIMENSIONS:
        raise broken("has an impossible shape")
    if not _are_naturals(offsets) or len(offsets) != 2:
        raise broken("has impossible offsets")
    begin, end = offsets
    if not begin <= end <= available:
        raise broken(f"lies outside the file ({end} of {available} bytes): the file is cut off")
    if end - begin != math.prod(shape) * DTYPES[dtype].itemsize:
        raise broken("has a size that does not fit its shape")
    return TensorInfo(dtype, tuple(shape)), begin, end


def _are_naturals(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _refuse_overlaps(path: Path, spans: list[tuple[int, int, str]]) -> None:
    last_end, last_name = 0, ""
    for begin, end, name in sorted(spans):
        if begin < last_end and end > begin:
            raise CheckpointError(path, f"tensors {last_name[:200]!r} and {name[:200]!r} overlap; {_REMEDY}")
        last_end, last_name = max(last_end, end), name
