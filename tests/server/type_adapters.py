"""Applications built one after another share what FastAPI worked out about types: half of their cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args
from unittest.mock import patch

from fastapi._compat import v2
from pydantic import TypeAdapter

__all__ = ["shared_type_adapters"]

_known: dict[object, TypeAdapter[Any]] = {}


def _adapter(annotated: Any, config: Any = None) -> TypeAdapter[Any]:  # noqa: ANN401
    """The adapter of a type with its field; an equal one is built once, local classes are told apart."""
    kind, *field = get_args(annotated)
    key = (kind, repr(field), repr(config))
    if key not in _known:
        _known[key] = TypeAdapter(annotated, config=config)
    return _known[key]


@contextmanager
def shared_type_adapters() -> Iterator[None]:
    """Let routes that are made meanwhile take an adapter that an earlier application has built."""
    with patch.object(v2, "TypeAdapter", _adapter):
        yield
