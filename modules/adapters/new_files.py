"""New, untrained textual inversions and hypernetworks, in the files that trainers begin with."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn

from modules.exceptions import RequestError
from modules.imaging.files import make_folder, write_new, write_replacing

__all__ = [
    "HypernetworkShape",
    "Pair",
    "adapter_file_name",
    "embedding_file",
    "hypernetwork_file",
    "hypernetwork_pairs",
    "write_embedding",
    "write_hypernetwork",
]

WeightInit = Literal["Normal", "XavierUniform", "XavierNormal", "KaimingUniform", "KaimingNormal"]

MAX_NAME = 100  # characters
_NAME_MARKS = "._- "


@dataclass(frozen=True)
class HypernetworkShape:
    """How the small networks are built.

    Attributes:
        sizes: widths of the contexts that get a network, one for keys and one for values each.
        layers: widths of the layers as multiples of the context's; first and last are 1.
        activation: name of the function after each layer but the last; "linear" is none.
        weight_init: distribution of the first weights.
        layer_norm: a normalisation after each layer.
        dropout: probability after each layer; empty is none. Only training reads it.
    """

    sizes: tuple[int, ...] = (320, 640, 768, 1280)
    layers: tuple[float, ...] = (1, 2, 1)
    activation: str = "linear"
    weight_init: WeightInit = "Normal"
    layer_norm: bool = False
    dropout: tuple[float, ...] = ()


def adapter_file_name(name: str) -> str:
    """A name without the characters that file names and prompts cannot hold.

    Raises:
        RequestError: nothing is left, or it is too long.
    """
    clean = "".join(char for char in name if char.isalnum() or char in _NAME_MARKS).strip(" .")
    if not clean or len(clean) > MAX_NAME:
        raise RequestError("name", f"name must have 1 to {MAX_NAME} letters, digits, dots, dashes or spaces")
    return clean


def embedding_file(
    name: str,
    vectors: Mapping[str, Tensor],
    *,
    checkpoint: tuple[str, str],
    step: int = 0,
    as_safetensors: bool = False,
) -> tuple[str, bytes]:
    """Suffix and content of a textual inversion's file.

    Args:
        name: the word in prompts.
        vectors: (N, W) by text encoder; one encoder has the key "".
        checkpoint: short hash and name of the model that the vectors are for.
        step: updates that they have seen.
        as_safetensors: write that format; vectors for several encoders are always written so.
    """
    if set(vectors) != {""}:  # the other format has no room for several text encoders
        return ".safetensors", save({key: tensor.contiguous() for key, tensor in vectors.items()})
    if as_safetensors:
        return ".safetensors", save({"emb_params": vectors[""].contiguous()})
    tree = {
        "string_to_token": {"*": 265},  # the token of "*"
        "string_to_param": {"*": vectors[""]},
        "name": name,
        "step": step,
        "sd_checkpoint": checkpoint[0],
        "sd_checkpoint_name": checkpoint[1],
    }
    return ".pt", _pickled(tree)


def write_embedding(
    folder: Path, name: str, vectors: Mapping[str, Tensor], *, checkpoint: tuple[str, str], replace: bool
) -> Path:
    """Write a new textual inversion.

    Args:
        folder: where embeddings lie.
        name: the word in prompts.
        vectors: see :func:`embedding_file`.
        checkpoint: see :func:`embedding_file`.
        replace: whether an older file may be overwritten.

    Raises:
        RequestError: there is a file of that name.
        StorageError: the file cannot be written.
    """
    suffix, content = embedding_file(name, vectors, checkpoint=checkpoint)
    return _write(folder / f"{name}{suffix}", content, replace=replace)


Pair = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
"""Weights of the networks for keys and for values, under their names in one sequence of layers."""


def hypernetwork_pairs(shape: HypernetworkShape) -> dict[int, Pair]:
    """Networks by width, drawn at random."""
    return {size: (_residual(size, shape), _residual(size, shape)) for size in shape.sizes}


def hypernetwork_file(
    name: str,
    shape: HypernetworkShape,
    pairs: Mapping[int, Pair],
    *,
    step: int = 0,
    checkpoint: tuple[str | None, str | None] = (None, None),
) -> bytes:
    """Content of a hypernetwork's file.

    Args:
        name: the name in prompts.
        shape: how the networks are built.
        pairs: their weights by width.
        step: updates that they have seen.
        checkpoint: short hash and name of the model that they were trained with.
    """
    tree: dict[str | int, object] = {
        size: (dict(keys), dict(values)) for size, (keys, values) in pairs.items()
    }
    tree |= {
        "step": step,
        "name": name,
        "layer_structure": list(shape.layers),
        "activation_func": shape.activation,
        "is_layer_norm": shape.layer_norm,
        "weight_initialization": shape.weight_init,
        "sd_checkpoint": checkpoint[0],
        "sd_checkpoint_name": checkpoint[1],
        "activate_output": False,
        "use_dropout": bool(shape.dropout),
        "dropout_structure": list(shape.dropout),
        "last_layer_dropout": bool(shape.dropout and shape.dropout[-1]),
    }
    return _pickled(tree)


def write_hypernetwork(folder: Path, name: str, shape: HypernetworkShape, *, replace: bool) -> Path:
    """Write a hypernetwork whose layers are drawn at random.

    Raises:
        RequestError: there is a file of that name.
        StorageError: the file cannot be written.
    """
    content = hypernetwork_file(name, shape, hypernetwork_pairs(shape))
    return _write(folder / f"{name}.pt", content, replace=replace)


def _residual(size: int, shape: HypernetworkShape) -> dict[str, Tensor]:
    """Weights under the names that they have as parts of one sequence of layers."""
    state: dict[str, Tensor] = {}
    place = 0
    last = len(shape.layers) - 2
    for index, (before, after) in enumerate(zip(shape.layers, shape.layers[1:], strict=False)):
        weight = torch.empty(int(size * after), int(size * before))  # (out, in)
        _draw(weight, shape)
        state[f"linear.{place}.weight"] = weight
        state[f"linear.{place}.bias"] = torch.zeros(weight.shape[0])
        place += 1
        if shape.activation != "linear" and index != last:
            place += 1
        if shape.layer_norm:
            state[f"linear.{place}.weight"] = torch.ones(weight.shape[0])
            state[f"linear.{place}.bias"] = torch.zeros(weight.shape[0])
            place += 1
        if index + 1 < len(shape.dropout) and shape.dropout[index + 1] > 0:
            place += 1
    return state


def _draw(weight: Tensor, shape: HypernetworkShape) -> None:
    gain: Literal["leaky_relu", "relu"] = "leaky_relu" if shape.activation == "leakyrelu" else "relu"
    match shape.weight_init:
        case "Normal":
            nn.init.normal_(weight, std=0.01)
        case "XavierUniform":
            nn.init.xavier_uniform_(weight)
        case "XavierNormal":
            nn.init.xavier_normal_(weight)
        case "KaimingUniform":
            nn.init.kaiming_uniform_(weight, nonlinearity=gain)
        case "KaimingNormal":
            nn.init.kaiming_normal_(weight, nonlinearity=gain)


def _pickled(tree: Mapping[str, object] | Mapping[str | int, object]) -> bytes:
    out = io.BytesIO()
    torch.save(dict(tree), out)
    return out.getvalue()


def _write(path: Path, content: bytes, *, replace: bool) -> Path:
    make_folder(path.parent)
    if replace:
        write_replacing(path, content)
    elif not _is_free(path) or not write_new(path, content):
        raise RequestError("name", f"{path.stem} exists already; choose another name or set overwrite_old")
    return path


def _is_free(path: Path) -> bool:
    """Names are shared by all formats, since prompts know no suffix."""
    return not any(path.with_name(f"{path.stem}{suffix}").exists() for suffix in (".pt", ".safetensors"))
