"""The one way pickled files (``.ckpt``, ``.pt``, ``.bin``) come in.

A pickle can run code when it is opened. It is therefore opened in a process of its own by torch's restricted
unpickler, without network and with bounded memory and time, and rewritten as safetensors in a cache; this
process only ever reads the copy. There is no other way and no switch for one.
"""

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from torch import Tensor

from modules.checkpoints.pickle_opener import PickleOpener
from modules.checkpoints.reader import MappedWeights, read_header
from modules.exceptions import CheckpointError

__all__ = ["PICKLE_SUFFIXES", "PickleGate", "PickleTree", "read_tree"]

PICKLE_SUFFIXES = frozenset({".ckpt", ".pt", ".pth", ".bin"})

PickleTree: TypeAlias = (
    "Mapping[str | int, PickleTree] | Sequence[PickleTree] | Tensor | str | int | float | bool | None"
)

_FIXED_MEMORY = 2 * 2**30  # bytes torch may need beside the file's contents
_FIXED_SECONDS = 60
_BYTES_A_SECOND = 20_000_000  # a slow disk
_TREE_KEY = "tree"


class PickleGate:
    """Converts pickled files and keeps the results; any thread may ask, each file is converted once.

    Args:
        cache: folder of the copies, named by path, size and time of change of the original.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._turns: dict[Path, threading.Lock] = {}
        self._opener = PickleOpener()

    def as_safetensors(self, path: Path) -> Path:
        """Path of a safetensors copy of a pickled state dict; made now if there is none yet.

        Raises:
            CheckpointError: the file is missing, holds anything but dense tensors, or takes too much
                memory or time.
        """
        return self._converted(path, "weights")

    def tree(self, path: Path) -> PickleTree:
        """A small pickled file's whole contents: dicts, lists, plain values and tensors.

        Raises:
            CheckpointError: as for :meth:`as_safetensors`.
        """
        return read_tree(self.tree_file(path))

    def tree_file(self, path: Path) -> Path:
        """Path of a copy of a small pickled file's whole contents, for :func:`read_tree`.

        Raises:
            CheckpointError: as for :meth:`as_safetensors`.
        """
        return self._converted(path, "tree")

    def _converted(self, path: Path, mode: Literal["weights", "tree"]) -> Path:
        try:
            status = path.stat()
        except OSError as error:
            raise CheckpointError(path, f"cannot be read: {error.strerror or error}") from error
        identity = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{mode}"
        target = self._cache / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.safetensors"
        with self._turns.setdefault(target, threading.Lock()):
            if not target.exists():
                self._convert(path, target, mode, status.st_size)
        return target

    def _convert(self, path: Path, target: Path, mode: Literal["weights", "tree"], size: int) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.stem}.{os.getpid()}.tmp")
        memory, seconds = _FIXED_MEMORY + 4 * size, _FIXED_SECONDS + size // _BYTES_A_SECOND
        try:
            refused = self._opener.rewrite(path, temporary, mode, memory=memory, seconds=seconds)
            if refused is not None:
                raise CheckpointError(
                    path,
                    f"was refused: {refused}. Pickled files may hold nothing but tensors; get the model as "
                    ".safetensors, or convert it where you trust it",
                )
            read_header(temporary)
            temporary.replace(target)
        except TimeoutError as error:
            raise CheckpointError(
                path, f"could not be opened within {2 * seconds} seconds; it was given up"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)


def read_tree(path: Path) -> PickleTree:
    """Contents of a copy that :meth:`PickleGate.tree_file` made.

    Raises:
        CheckpointError: the copy is damaged.
    """
    weights = MappedWeights(path)
    return _rebuilt(json.loads(weights.header.metadata[_TREE_KEY]), weights)


def _rebuilt(node: Mapping[str, object], weights: MappedWeights) -> PickleTree:
    kind, content = next(iter(node.items()))
    if kind == "tensor":
        return weights.tensor(str(content)).clone()
    if kind == "dict" and isinstance(content, list):
        return {key: _rebuilt(value, weights) for key, value in content}
    if kind == "list" and isinstance(content, list):
        return [_rebuilt(value, weights) for value in content]
    return content if isinstance(content, str | int | float) else None
