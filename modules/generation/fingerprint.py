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


def fingerprint(*values: object) -> bytes:
    """Hash of nested tuples, mappings, dataclasses, tensors, models and plain values.

    Raises:
        TypeError: a value has no content that could be told from its type.
    """
    digest = hashlib.blake2b(digest_size=_SIZE)
    for value in values:
        _add(digest, value)
    return digest.digest()


def _add(digest: "hashlib.blake2b", value: object) -> None:
    # each value is preceded by its kind and length, so that no two trees give the same bytes
    if isinstance(value, Tensor):
        plain = value.detach().to("cpu").contiguous()
        digest.update(f"tensor {plain.dtype} {tuple(plain.shape)};".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Enum):
        _add(digest, (type(value).__name__, value.name))
    elif value is None or isinstance(value, bool | int | float | str | bytes | PurePath):
        text = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(f"{type(value).__name__} {len(text)};".encode())
        digest.update(text)
    elif isinstance(value, Mapping):
        _add(digest, ("mapping", *sorted(value.items())))
    elif isinstance(value, tuple | list):
        digest.update(f"sequence {len(value)};".encode())
        for item in value:
            _add(digest, item)
    elif is_dataclass(value) and not isinstance(value, type):
        named = tuple((field.name, getattr(value, field.name)) for field in fields(value))
        _add(digest, (type(value).__qualname__, named))
    elif isinstance(value, BaseModel):
        _add(digest, (type(value).__qualname__, value.model_dump()))
    else:
        raise TypeError(f"{type(value).__name__} has no fingerprint")
