"""What a weights file says about itself before any weight is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CheckpointHeader", "TensorInfo"]


@dataclass(frozen=True)
class TensorInfo:
    """Number format (safetensors' word, e.g. "F16") and shape of one tensor."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class CheckpointHeader:
    """Names, formats and shapes of all tensors of one file, and its metadata.

    Attributes:
        path: the file, for messages.
        tensors: by name, in the original layout's names.
        metadata: free text by key.
    """

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of the named tensor, None if there is none."""
        info = self.tensors.get(name)
        return None if info is None else info.shape

    def below(self, prefix: str) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors whose names begin with ``prefix``, under the rest of their names."""
        return {
            name[len(prefix) :]: info.shape for name, info in self.tensors.items() if name.startswith(prefix)
        }
