"""A short name for a value by its content: equal names mean equal values."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath

import torch
from pydantic import BaseModel
from torch import Tensor

__all__ = ["fingerprint"]

_SIZE = 16  # bytes; two values never share 128 bits by chance
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})  # most values are; the quickest to tell
_PLAIN_BASES = (int, float, str, bytes, PurePath)  # numbers of numpy are some of these, too


def fingerprint(*values: object) -> bytes:
    """Hash of nested tuples, mappings, dataclasses, tensors, models and plain values.

    Raises:
        TypeError: a value has no content that could be told from its type.
    """
    pieces: list[bytes | memoryview] = []
    for value in values:
        _add(pieces, value)
    return hashlib.blake2b(b"".join(pieces), digest_size=_SIZE).digest()


def _add(pieces: list[bytes | memoryview], value: object) -> None:
    # each value is preceded by its kind and length, so that no two trees give the same bytes
    kind = type(value)
    if kind in _PLAIN or (isinstance(value, _PLAIN_BASES) and not isinstance(value, Enum)):
        text = value if isinstance(value, bytes) else repr(value).encode()
        pieces.append(f"{kind.__name__} {len(text)};".encode())
        pieces.append(text)
    elif isinstance(value, Tensor):
        plain = value.detach().to("cpu").contiguous()
        pieces.append(f"tensor {plain.dtype} {tuple(plain.shape)};".encode())
        pieces.append(plain.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Enum):
        _add(pieces, (kind.__name__, value.name))
    elif isinstance(value, Mapping):
        _add(pieces, ("mapping", *sorted(value.items())))
    elif isinstance(value, tuple | list):
        pieces.append(f"sequence {len(value)};".encode())
        for item in value:
            _add(pieces, item)
    elif is_dataclass(value) and not isinstance(value, type):
        _add(pieces, (kind.__qualname__, *(getattr(value, field.name) for field in fields(value))))
    elif isinstance(value, BaseModel):
        _add(pieces, (kind.__qualname__, value.model_dump()))
    else:
        raise TypeError(f"{kind.__name__} has no fingerprint")
