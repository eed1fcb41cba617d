"""BLIP's own file, as A1111 fetches it, under the names of the transformers library.

Source: the layout of salesforce/BLIP's captioning network (Li et al. 2022, arXiv:2201.12086).
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from modules.checkpoints.files import ModelStore
from modules.checkpoints.reader import MappedWeights
from modules.exceptions import CheckpointError

__all__ = ["blip_config", "blip_state", "find_blip", "transformers_name"]

_SUFFIXES = (".pth", ".pt")
_OUTSIDE = {
    "visual_encoder.cls_token": "vision_model.embeddings.class_embedding",
    "visual_encoder.pos_embed": "vision_model.embeddings.position_embedding",
    "visual_encoder.patch_embed.proj": "vision_model.embeddings.patch_embedding",
    "visual_encoder.norm": "vision_model.post_layernorm",
    "visual_encoder.blocks": "vision_model.encoder.layers",
}
_INSIDE = {
    ".attn.qkv.": ".self_attn.qkv.",
    ".attn.proj.": ".self_attn.projection.",
    ".norm1.": ".layer_norm1.",
    ".norm2.": ".layer_norm2.",
}
_HEAD = 64  # channels of each head, at every size that was published
_ADDED = 2  # tokens behind BERT's own; the first of them begins a caption


def find_blip(folder: Path) -> Path | None:
    """The file in a folder, None where there is none."""
    if not folder.is_dir():
        return None
    return next((path for path in sorted(folder.iterdir()) if path.suffix.lower() in _SUFFIXES), None)


def transformers_name(name: str) -> str:
    """What transformers calls a weight of the file; texts have the same names in both."""
    for theirs, ours in _OUTSIDE.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    else:
        return name
    for theirs, ours in _INSIDE.items():
        name = name.replace(theirs, ours)
    return name


def blip_state(path: Path, store: ModelStore) -> dict[str, Tensor]:
    """All weights of the captioning network under transformers' names.

    Raises:
        CheckpointError: the file is damaged, or another network's.
    """
    weights = MappedWeights(store.readable(path))
    state = {
        transformers_name(name): weights.tensor(name)
        for name in weights.header.tensors
        if name.startswith(("visual_encoder.", "text_decoder."))
    }
    if not state:
        raise CheckpointError(path, "is not BLIP's captioning network")
    return state


def blip_config(state: Mapping[str, Tensor], separator: int, padding: int) -> dict[str, dict[str, Any]]:
    """Sizes of the network, as transformers' configuration wants them.

    Args:
        state: the weights under transformers' names.
        separator: token that ends a text.
        padding: token that fills one up.

    Raises:
        KeyError: a weight is missing.
    """
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    _, places, width = shapes["vision_model.embeddings.position_embedding"]
    patch = shapes["vision_model.embeddings.patch_embedding.weight"][-1]
    words, text_width = shapes["text_decoder.bert.embeddings.word_embeddings.weight"]
    vision = {
        "hidden_size": width,
        "intermediate_size": shapes["vision_model.encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": _layers(shapes, "vision_model.encoder.layers."),
        "num_attention_heads": max(1, width // _HEAD),
        "image_size": math.isqrt(places - 1) * patch,
        "patch_size": patch,
        "layer_norm_eps": 1e-6,  # of the original; transformers' own default differs
    }
    text = {
        "hidden_size": text_width,
        "encoder_hidden_size": width,
        "intermediate_size": shapes["text_decoder.bert.encoder.layer.0.intermediate.dense.weight"][0],
        "num_hidden_layers": _layers(shapes, "text_decoder.bert.encoder.layer."),
        "num_attention_heads": max(1, text_width // _HEAD),
        "vocab_size": words,
        "max_position_embeddings": shapes["text_decoder.bert.embeddings.position_embeddings.weight"][0],
        "bos_token_id": words - _ADDED,
        "eos_token_id": separator,
        "sep_token_id": separator,
        "pad_token_id": padding,
    }
    return {"vision_config": vision, "text_config": text}


def _layers(shapes: Mapping[str, object], prefix: str) -> int:
    return len({name.removeprefix(prefix).partition(".")[0] for name in shapes if name.startswith(prefix)})
