"""Names and shapes of the families' real checkpoints, written down once, without weights.

Left out are ``position_ids`` and ``logit_scale``, which no network needs.
"""

import gzip
import json
from pathlib import Path

from modules.families.header import CheckpointHeader, TensorInfo

__all__ = ["MANIFESTS", "header", "manifest"]

_FOLDER = Path(__file__).parents[1] / "data" / "manifests"
MANIFESTS = tuple(sorted(path.name.removesuffix(".json.gz") for path in _FOLDER.glob("*.json.gz")))


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    """Shape by name, in the order of the original file."""
    shapes = json.loads(gzip.decompress((_FOLDER / f"{name}.json.gz").read_bytes()))
    return {key: tuple(shape) for key, shape in shapes.items()}


def header(
    shapes: dict[str, tuple[int, ...]], metadata: dict[str, str] | None = None, dtype: str = "F16"
) -> CheckpointHeader:
    """A file's header with these tensors."""
    tensors = {name: TensorInfo(dtype, shape) for name, shape in shapes.items()}
    return CheckpointHeader(Path("model.safetensors"), tensors, metadata or {})
