"""LoRA-like files: their modules by layer, and the embeddings that some carry along."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modules.adapters.deltas import Delta, delta
from modules.adapters.embedding_files import EmbeddingContent, content_of_tree
from modules.adapters.module_names import Layer
from modules.checkpoints.reader import MappedWeights

__all__ = ["LoraFile", "change_of", "read_lora"]

# PEFT writes dotted module paths, and both it and older diffusers have names of their own for the factors
_DOTTED = re.compile(
    r"(?:base_model\.model\.)?(?P<network>unet|text_encoder_2|text_encoder)\.(?P<module>.+?)[._]"
    r"(?P<part>lora[_.](?:A|B|up|down)\.(?:default\.)?weight|alpha)"
)
_DOTTED_PREFIXES = {
    "unet": ("lora_unet_",),
    "text_encoder": ("lora_te_", "lora_te1_"),
    "text_encoder_2": ("lora_te2_",),
}
_PARTS = {
    "lora_A.weight": "lora_down.weight",
    "lora_B.weight": "lora_up.weight",
    "lora.down.weight": "lora_down.weight",
    "lora.up.weight": "lora_up.weight",
}
_BUNDLE = "bundle_emb"


@dataclass(frozen=True, eq=False)
class LoraFile:
    """Contents of a file.

    Attributes:
        modules: tensors by module name and part.
        embeddings: textual inversions that came along, by name.
    """

    modules: Mapping[str, Mapping[str, Tensor]]
    embeddings: Mapping[str, EmbeddingContent]


def _split(key: str) -> tuple[tuple[str, ...], str]:
    """Module names that a key may mean, and the part of the module."""
    if match := _DOTTED.fullmatch(key):
        module = match["module"].replace(".processor.", ".").replace(".", "_")
        if module.endswith("_to_out"):
            module += "_0"
        part = match["part"].replace(".default.", ".")
        return tuple(prefix + module for prefix in _DOTTED_PREFIXES[match["network"]]), _PARTS.get(part, part)
    module, _, part = key.partition(".")
    if module.startswith("oft_unet_"):
        module = f"lora_unet_{module.removeprefix('oft_unet_')}"
    return (module,), _PARTS.get(part, part)


def read_lora(copy: Path, path: Path) -> LoraFile:
    """Open a LoRA-like file; its tensors stay on disk until they are used.

    Args:
        copy: the file, or a safetensors copy of a pickled one.
        path: the file itself, for messages.

    Raises:
        CheckpointError: the file is damaged.
        AdapterError: an embedding inside it is damaged.
    """
    weights = MappedWeights(copy)
    modules: dict[str, dict[str, Tensor]] = {}
    bundles: dict[str, dict[str, object]] = {}
    for key in weights:
        if key.startswith(f"{_BUNDLE}."):
            _, name, parameter = [*key.split(".", 2), ""][:3]
            tree = bundles.setdefault(name, {})
            if parameter.startswith("string_to_param."):
                tree["string_to_param"] = {parameter.removeprefix("string_to_param."): weights.tensor(key)}
            else:
                tree[parameter] = weights.tensor(key)
            continue
        names, part = _split(key)
        for name in names:
            modules.setdefault(name, {})[part] = weights.tensor(key)
    return LoraFile(modules, {name: content_of_tree(path, tree) for name, tree in bundles.items()})


def change_of(
    parts: Mapping[str, Tensor], layer: Layer, multiplier: float, dyn_dim: int | None
) -> Delta | None:
    """Compute what a module changes in a layer as the layer is now.

    Returns:
        Changes in the layer's shape, float32 on its device; None if the module is of no known kind.

    Raises:
        ValueError: the module does not fit the layer.
        OutOfMemoryError: the device is full.
    """
    weight: Tensor = layer.parameter
    device = weight.device
    if layer.third is not None:
        weight = weight.chunk(3)[layer.third]
    moved = {
        part: tensor.to(device, torch.bool if tensor.dtype == torch.bool else torch.float32)
        for part, tensor in parts.items()
    }
    try:
        return delta(moved, weight.detach().to(torch.float32), multiplier, dyn_dim)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError) as error:
        raise ValueError(" ".join(str(error).split())) from error
