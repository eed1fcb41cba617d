"""File formats of textual inversion: safetensors, pickles, and pictures that carry vectors.

Pictures carry them as text, or hidden in the lower four bits of columns beside the drawing.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from modules.exceptions import AdapterError

__all__ = [
    "EMBEDDING_SUFFIXES",
    "IMAGE_SUFFIXES",
    "EmbeddingContent",
    "content_of_tree",
    "read_embedding_image",
]

EMBEDDING_SUFFIXES = (".pt", ".bin", ".safetensors", ".png", ".webp", ".avif")
IMAGE_SUFFIXES = (".png", ".webp", ".avif")
IMAGE_FORMATS = ("PNG", "WEBP", "AVIF")
MAX_VALUES = 75 * 8192  # one chunk of vectors wider than any text encoder's
MAX_JSON_BYTES = 64 * 2**20
TEXT_KEY = "sd-ti-embedding"
ENCODER_KEYS = ("clip_l", "clip_g")


@dataclass(frozen=True, eq=False)
class EmbeddingContent:
    """What an embedding file holds.

    Attributes:
        vectors: (N, W) by text encoder; files for one text encoder use the key "".
        name: as stored, None where the file's name is all there is.
        step: training steps, None if not stored.
        checkpoint_name: what it was trained on, None if not stored.
        checkpoint_hash: short hash of the same, None if not stored.
    """

    vectors: Mapping[str, Tensor]
    name: str | None = None
    step: int | None = None
    checkpoint_name: str | None = None
    checkpoint_hash: str | None = None


def content_of_tree(path: Path, tree: object) -> EmbeddingContent:
    """Interpret the nested dictionaries of an embedding file, whatever format they were stored in.

    Raises:
        AdapterError: there are no vectors in it, or more than fit a chunk.
    """
    if not isinstance(tree, Mapping):
        raise AdapterError(path, "holds no embedding: its content is no dictionary")
    parameters = tree.get("string_to_param", tree)
    if not isinstance(parameters, Mapping):
        raise AdapterError(path, "holds no embedding: 'string_to_param' is no dictionary")
    tensors = {str(key): value for key, value in parameters.items() if isinstance(value, Tensor)}
    if set(ENCODER_KEYS) <= set(tensors):
        vectors = {key: _vectors(path, tensors[key]) for key in ENCODER_KEYS}
    elif len(tensors) == 1:
        vectors = {"": _vectors(path, next(iter(tensors.values())))}
    else:
        raise AdapterError(path, f"holds no embedding: it has {len(tensors)} tensors where one was expected")
    name, step = tree.get("name"), tree.get("step")
    checkpoint, digest = tree.get("sd_checkpoint_name"), tree.get("sd_checkpoint")
    return EmbeddingContent(
        vectors,
        name if isinstance(name, str) else None,
        step if isinstance(step, int) else None,
        checkpoint if isinstance(checkpoint, str) else None,
        digest if isinstance(digest, str) and digest else None,
    )


def _vectors(path: Path, tensor: Tensor) -> Tensor:
    if tensor.ndim == 1:
        tensor = tensor[None]
    if tensor.ndim != 2 or not tensor.is_floating_point() or not 0 < tensor.numel() <= MAX_VALUES:
        raise AdapterError(path, f"holds no embedding: its tensor has the shape {tuple(tensor.shape)}")
    return tensor.detach()


def read_embedding_image(path: Path) -> EmbeddingContent | None:
    """Read an embedding out of a picture.

    Returns:
        The embedding, or None if the picture is just a picture.

    Raises:
        AdapterError: the picture or the embedding in it is damaged.
    """
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            text = image.info.get(TEXT_KEY)
            if isinstance(text, str):
                return content_of_tree(path, _decode_json(path, base64.b64decode(text)))
            if image.width * image.height > 4096 * 4096:
                return None
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, binascii.Error) as error:
        raise AdapterError(path, f"cannot be read as a picture with an embedding: {error}") from error
    hidden = _hidden_bytes(pixels)
    return None if hidden is None else content_of_tree(path, _decode_json(path, hidden))


def _decode_json(path: Path, raw: bytes) -> object:
    if len(raw) > MAX_JSON_BYTES:
        raise AdapterError(path, "holds more text than any embedding needs")
    try:
        return json.loads(raw, object_hook=_tensor_hook)
    except (ValueError, TypeError, RecursionError, RuntimeError) as error:
        raise AdapterError(path, f"holds a damaged embedding: {error}") from error


def _tensor_hook(entry: dict[str, object]) -> object:
    nested = entry.get("TORCHTENSOR")
    return entry if nested is None else torch.tensor(nested, dtype=torch.float32)


def _noise(length: int) -> np.ndarray:
    """The four-bit stream that the hidden nibbles were combined with.

    A linear congruential generator modulo 2**32 (the constants are those of Numerical Recipes) with seed 0.
    """
    states = np.empty(length, dtype=np.uint64)
    state = 0
    for index in range(length):
        state = (1664525 * state + 1013904223) % 2**32
        states[index] = state
    return (states % 255 & 0x0F).astype(np.uint8)


def _hidden_bytes(pixels: np.ndarray) -> bytes | None:
    """Decompress what lies in the columns left of the first and right of the last black column.

    Args:
        pixels: (H, W, 3) uint8.
    """
    bright = np.argwhere((pixels > 0).any(axis=2))
    if bright.size == 0:
        return None
    (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0)
    nibbles = pixels[top : bottom + 1, left : right + 1] & 0x0F
    black = np.flatnonzero((nibbles == 0).all(axis=(0, 2)))
    if len(black) < 2:
        return None
    low, high = nibbles[:, : black[0]], nibbles[:, black[-1] + 1 :]
    if low.size == 0 or low.shape != high.shape:
        return None
    stream = _noise(low.size).reshape(low.shape)
    raw = ((low ^ stream) | ((high ^ stream) << 4)).astype(np.uint8).tobytes()
    try:
        return zlib.decompressobj().decompress(raw, MAX_JSON_BYTES)
    except zlib.error:
        return None
