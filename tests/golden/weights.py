"""Pseudo-random weights with exactly defined bytes, so that hashes in the reference infotexts agree.

A tensor follows from its key and shape alone. With ``seed = crc32(salt + key)``, element ``i`` (from 1,
C order) is splitmix64 of ``(seed << 32) + i * golden``; the sum of its four 16-bit lanes less 131070 is
about normal and is multiplied, in float32, with ``std / 37837.227``. The standard deviation comes from the
first line of ``SPREADS`` that matches the key. A few additions let the random UNet act as a denoiser and
make the VAE encoder deterministic. All tensors are float32, but for ``position_ids``.
"""

import json
import math
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock

__all__ = ["GOLDEN", "write_embeddings_and_models"]

GOLDEN = Path(__file__).parent
LANES_STD = 37837.227  # sqrt(4 * (65536**2 - 1) / 12)

Array = npt.NDArray[np.float32] | npt.NDArray[np.int64]

# key pattern, how the number is meant (std; gain: over sqrt(fan in); norm: around one), number
SPREADS: tuple[tuple[str, str, float], ...] = (
    (r"token_embedding(\.weight)?$", "std", 0.6),
    (r"(position_embedding\.weight|positional_embedding)$", "std", 0.2),
    (r"logit_scale$", "std", 1.0),
    (r"text_projection$", "gain", 1.0),
    (
        r"(norm\w*|ln_\w+|layer_norm\d|in_layers\.0|out_layers\.0|diffusion_model\.out\.0)\.weight$",
        "norm",
        0.1,
    ),
    (r"\.(bias|in_proj_bias)$|in_proj_bias$", "std", 0.02),
    (r"diffusion_model\.out\.2\.weight$", "gain", 0.5),
    (r"decoder\.conv_out\.weight$", "gain", 0.6),
    (r"quant_conv\.weight$", "gain", 2.0),
    (r"attn2\.to_[qk]\.weight$", "gain", 2.0),
    (r"attn2\.to_out\.0\.weight$", "gain", 2.0),
    (r"(out_layers\.3|ff\.net\.2|proj_out|conv2|nin_shortcut)\.weight$", "gain", 0.6),
    (r"\.diff$", "gain", 0.3),
    (r".*", "gain", 1.0),
)


def _normal(key: str, shape: tuple[int, ...], std: float) -> npt.NDArray[np.float32]:
    index = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):  # the arithmetic is modulo 2**64
        z = np.uint64(zlib.crc32(key.encode()) << 32) + index * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    lanes = sum(((z >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64) for shift in (0, 16, 32, 48))
    centred = np.asarray(lanes - 131070, dtype=np.float32)
    return (centred * np.float32(std / LANES_STD)).reshape(shape)


def _tensor(key: str, shape: tuple[int, ...], salt: str, last_block: int) -> Array:
    if key.endswith("position_ids"):
        return np.arange(shape[-1], dtype=np.int64).reshape(shape)
    kind, number = next((kind, number) for pattern, kind, number in SPREADS if re.search(pattern, key))
    fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
    values = _normal(salt + key, shape, number / math.sqrt(fan_in) if kind == "gain" else number)
    if kind == "norm":
        values = values + np.float32(1)
    return _with_structure(key, values, last_block)


def _with_structure(key: str, values: npt.NDArray[np.float32], last_block: int) -> npt.NDArray[np.float32]:
    """Pass the latent from the first to the last convolution; a log variance of about -40."""
    if key.endswith("diffusion_model.input_blocks.0.0.weight"):
        for row in range(values.shape[0]):
            values[row, row % 4, 1, 1] += np.float32(1)
    elif key.endswith(f"diffusion_model.output_blocks.{last_block}.0.skip_connection.weight"):
        channels = values.shape[0]
        for row in range(channels):
            values[row, values.shape[1] - channels + row] += np.float32(1)
    elif key.endswith("diffusion_model.out.2.weight"):
        channels = values.shape[1]
        for column in range(channels):
            values[column % 4, column, 1, 1] += np.float32(6 / channels)
    elif key.endswith("first_stage_model.quant_conv.bias"):
        values[values.shape[0] // 2 :] -= np.float32(40)
    elif key.endswith("first_stage_model.quant_conv.weight"):
        values[values.shape[0] // 2 :] *= np.float32(0)
    return values


def _last_output_block(keys: Mapping[str, list[int]]) -> int:
    found = (re.search(r"diffusion_model\.output_blocks\.(\d+)\.", key) for key in keys)
    return max((int(match[1]) for match in found if match), default=-1)


def _write(tensors: Mapping[str, Array], path: Path) -> None:
    """A safetensors file: keys sorted, header compact and padded with spaces to a multiple of eight."""
    header: dict[str, object] = {}
    offset = 0
    for key in sorted(tensors):
        values = tensors[key]
        kind = "I64" if values.dtype == np.int64 else "F32"
        header[key] = {
            "dtype": kind,
            "shape": list(values.shape),
            "data_offsets": [offset, offset + values.nbytes],
        }
        offset += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key in sorted(tensors):
            file.write(np.ascontiguousarray(tensors[key]).tobytes())


def _build(keys: str, path: Path, *, salt: str = "", prefix: str = "") -> None:
    """Write one file from ``keys/<keys>.json``; with ``prefix`` only these keys, stored without it."""
    shapes = json.loads((GOLDEN / "keys" / f"{keys}.json").read_text())
    last = _last_output_block(shapes)
    tensors = {
        key.removeprefix(prefix): _tensor(key, tuple(shape), salt, last)
        for key, shape in shapes.items()
        if key.startswith(prefix)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    _write(tensors, half)
    half.replace(path)


def write_embeddings_and_models(root: Path) -> None:
    """Write what the reference had on disk below ``root``: ``models/``, ``embeddings/``, ``styles.csv``.

    Generated files that are there already are kept, so that a cached folder costs nothing. Test
    processes that share the folder wait for each other.
    """
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "lock"):
        _write_embeddings_and_models(root)


def _write_embeddings_and_models(root: Path) -> None:
    for path in (
        sorted(GOLDEN.glob("models/**/*.*")) + sorted(GOLDEN.glob("embeddings/*")) + [GOLDEN / "styles.csv"]
    ):
        target = root / path.relative_to(GOLDEN)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    checkpoints = root / "models" / "Stable-diffusion"
    for name in ("tiny-sd1", "tiny-sd1-b", "tiny-sd1-inpainting", "tiny-sd2-v", "tiny-sdxl"):
        if not (path := checkpoints / f"{name}.safetensors").exists():
            _build(name, path, salt="b:" if name == "tiny-sd1-b" else "")
    if not (vae := root / "models" / "VAE" / "tiny-vae2.safetensors").exists():
        _build("tiny-sd1", vae, salt="vae2:", prefix="first_stage_model.")
    if not (full := root / "models" / "Lora" / "tinyfull.safetensors").exists():
        _build("tinyfull", full, salt="tinyfull:")
