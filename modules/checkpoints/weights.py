"""Tensors by their original names, wherever they lie: one file, or a diffusers folder."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from modules.checkpoints.files import CheckpointFile, ModelStore
from modules.checkpoints.reader import MappedWeights
from modules.exceptions import CheckpointError
from modules.families.depth import DEPTH_PREFIX, depth_sources
from modules.families.detect import UNET_PREFIX, VAE_PREFIX
from modules.families.diffusers_names import (
    open_clip_sources,
    translate,
    unet_layout,
    unet_modules,
    vae_modules,
)
from modules.families.header import CheckpointHeader, TensorInfo
from modules.families.hints import ARCHITECTURE_KEY
from modules.families.shapes import count_numbered

__all__ = ["RenamedWeights", "Weights", "open_checkpoint", "open_vae", "renamed_depth"]

_MAX_JSON = 2**20
_BETA_SCHEDULES = {"scaled_linear": "scaled_linear", "linear": "linear", "squaredcos_cap_v2": "cosine"}


class Weights(Protocol):
    """Tensors of a checkpoint in the original single-file names."""

    @property
    def header(self) -> CheckpointHeader:
        """Names, formats and shapes."""
        ...

    def tensor(self, name: str) -> Tensor:
        """The named tensor in the file's number format."""
        ...


def open_checkpoint(file: CheckpointFile) -> Weights:
    """Open a checkpoint of any supported format.

    Raises:
        CheckpointError: a file is missing, corrupt or refused.
    """
    if file.is_folder:
        return _open_folder(file)
    return MappedWeights(file.store.readable(file.path))


def open_vae(path: Path, store: ModelStore) -> Weights:
    """Open a file that holds only a VAE, in original or diffusers names; names come out with prefix.

    Raises:
        CheckpointError: the file is missing, corrupt or refused.
    """
    weights = MappedWeights(store.readable(path))
    if any(name.startswith("encoder.down_blocks.") for name in weights.header.tensors):
        return RenamedWeights(path, _vae_sources(weights), weights.header.metadata)
    ignored = ("loss", "model_ema.")
    sources = {
        VAE_PREFIX + name.removeprefix(VAE_PREFIX): Source(weights, (name,))
        for name in weights.header.tensors
        if not name.startswith(ignored)
    }
    return RenamedWeights(path, sources, weights.header.metadata)


@dataclass(frozen=True)
class Source:
    """Where one tensor comes from.

    Attributes:
        weights: the file.
        names: tensors in it, joined along their first dimension if there are several.
        change: what else is to be done.
    """

    weights: MappedWeights
    names: tuple[str, ...]
    change: Literal["none", "transpose", "as_convolution"] = "none"

    def info(self) -> TensorInfo:
        """Format and shape of the result."""
        infos = [self.weights.header.tensors[name] for name in self.names]
        shape = (
            (sum(info.shape[0] for info in infos), *infos[0].shape[1:]) if len(infos) > 1 else infos[0].shape
        )
        if self.change == "transpose":
            shape = shape[::-1]
        if self.change == "as_convolution":
            shape = (*shape, 1, 1)
        return TensorInfo(infos[0].dtype, shape)

    def tensor(self) -> Tensor:
        """The result."""
        tensors = [self.weights.tensor(name) for name in self.names]
        joined = torch.cat(tensors) if len(tensors) > 1 else tensors[0]
        if self.change == "transpose":
            return joined.t().contiguous()
        return joined[..., None, None] if self.change == "as_convolution" else joined


class RenamedWeights:
    """Tensors under other names than their file has."""

    def __init__(self, path: Path, sources: Mapping[str, Source], metadata: Mapping[str, str]) -> None:
        self._sources = sources
        self.header = CheckpointHeader(path, {name: s.info() for name, s in sources.items()}, metadata)

    def tensor(self, name: str) -> Tensor:
        """The named tensor."""
        return self._sources[name].tensor()


def renamed_depth(path: Path, weights: MappedWeights) -> RenamedWeights:
    """A depth estimator's file in original or transformers' names; names come out as in a checkpoint."""
    names = depth_sources(weights.header.tensors)
    if not names:
        names = {name.removeprefix(DEPTH_PREFIX): (name,) for name in weights.header.tensors}
    sources = {DEPTH_PREFIX + name: Source(weights, theirs) for name, theirs in names.items()}
    return RenamedWeights(path, sources, weights.header.metadata)


def _open_folder(file: CheckpointFile) -> Weights:
    folder, store = file.path, file.store
    unet = _component(folder / "unet", store)
    if unet is None:
        raise CheckpointError(folder, "has no weights in its folder 'unet'; copy the whole model again")
    shapes = [unet_part.header.below("") for unet_part in unet]
    modules = unet_modules(unet_layout({name: shape for part in shapes for name, shape in part.items()}))
    sources = _renamed(unet, modules, UNET_PREFIX)
    for part in _component(folder / "vae", store) or ():
        sources |= _vae_sources(part)
    is_open_clip = any(
        name.endswith("proj_in.weight") and len(s.info().shape) == 2 for name, s in sources.items()
    )
    sources |= _text_sources(folder, store, is_open_clip=is_open_clip)
    for part in _component(folder / "depth_estimator", store) or ():
        names = depth_sources(part.header.tensors)
        sources |= {DEPTH_PREFIX + name: Source(part, theirs) for name, theirs in names.items()}
    hints = _folder_hints(folder, is_open_clip=is_open_clip)
    return RenamedWeights(folder, sources, {ARCHITECTURE_KEY: json.dumps(hints)})


def _component(folder: Path, store: ModelStore) -> tuple[MappedWeights, ...] | None:
    """The weight files of one part: plain or half precision, whole or in shards, safetensors if possible."""
    for suffix in (".safetensors", ".bin"):
        names = sorted(path for path in folder.glob(f"*{suffix}") if not path.name.startswith("."))
        for variant in (_plain(names), names):
            if variant:
                return tuple(MappedWeights(store.readable(path)) for path in _one_set(variant))
    return None


def _plain(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if ".fp16" not in path.suffixes and ".non_ema" not in path.suffixes]


def _one_set(paths: list[Path]) -> list[Path]:
    shards = [path for path in paths if "-of-" in path.name]
    return shards if len(shards) == len(paths) else [path for path in paths if path not in shards][:1]


def _renamed(parts: Iterable[MappedWeights], modules: Mapping[str, str], prefix: str) -> dict[str, Source]:
    sources = {}
    for part in parts:
        for name in part.header.tensors:
            original = translate(name, modules)
            if original is not None:
                sources[prefix + original] = Source(part, (name,))
    return sources


def _vae_sources(weights: MappedWeights) -> dict[str, Source]:
    shapes = weights.header.below("")
    levels = count_numbered(shapes, "encoder.down_blocks.{}.resnets.0.conv1.weight")
    blocks = count_numbered(shapes, "encoder.down_blocks.0.resnets.{}.conv1.weight")
    sources = _renamed((weights,), vae_modules(levels, blocks), VAE_PREFIX)
    for name, source in sources.items():
        if ".attn_1." in name and len(source.info().shape) == 2:
            sources[name] = Source(weights, source.names, "as_convolution")
    return sources


def _text_sources(folder: Path, store: ModelStore, *, is_open_clip: bool) -> dict[str, Source]:
    first = _component(folder / "text_encoder", store)
    second = _component(folder / "text_encoder_2", store)
    sources: dict[str, Source] = {}
    if second:
        place = "conditioner.embedders.1.model." if first else "conditioner.embedders.0.model."
        sources |= _open_clip(second, place)
    if first and (second or not is_open_clip):
        place = "conditioner.embedders.0.transformer." if second else "cond_stage_model.transformer."
        for part in first:
            sources |= {place + name: Source(part, (theirs,)) for name, theirs in _tower_names(part).items()}
    elif first:
        sources |= _open_clip(first, "cond_stage_model.model.")
    return sources


def _tower_names(part: MappedWeights) -> dict[str, str]:
    """Usual name to name in the file; the newest files leave out ``text_model.``."""
    return {name if name.startswith("text_") else f"text_model.{name}": name for name in part.header.tensors}


def _open_clip(parts: tuple[MappedWeights, ...], prefix: str) -> dict[str, Source]:
    sources = {}
    for part in parts:
        known = _tower_names(part)
        shapes = {name: part.header.tensors[theirs].shape for name, theirs in known.items()}
        layers = count_numbered(shapes, "text_model.encoder.layers.{}.mlp.fc1.weight")
        for name, names in open_clip_sources(layers).items():
            if all(theirs in known for theirs in names):
                change: Literal["none", "transpose"] = "transpose" if name == "text_projection" else "none"
                sources[prefix + name] = Source(part, tuple(known[theirs] for theirs in names), change)
    return sources


def _folder_hints(folder: Path, *, is_open_clip: bool) -> dict[str, object]:
    scheduler = _config(folder / "scheduler" / "scheduler_config.json")
    unet = _config(folder / "unet" / "config.json")
    vae = _config(folder / "vae" / "config.json")
    text = _config(folder / "text_encoder" / "config.json")
    alone = not (folder / "text_encoder_2").exists()
    hints = {
        "prediction": {"v_prediction": "v", "epsilon": "epsilon"}.get(str(scheduler.get("prediction_type"))),
        "schedule": _BETA_SCHEDULES.get(str(scheduler.get("beta_schedule"))),
        "beta_start": scheduler.get("beta_start"),
        "beta_end": scheduler.get("beta_end"),
        "zero_terminal_snr": scheduler.get("rescale_betas_zero_snr"),
        "unet_groups": unet.get("norm_num_groups"),
        "vae_groups": vae.get("norm_num_groups"),
        "latent_scale": vae.get("scaling_factor"),
        "text_heads": text.get("num_attention_heads") if alone else None,
        "text_activation": text.get("hidden_act") if alone else None,
        # the library runs the last stored layer of SD2's text encoder, the original the last but one
        "text_layers_dropped": 1 if is_open_clip and alone else None,
        **_head_hints(unet),
    }
    return {name: value for name, value in hints.items() if value is not None}


def _head_hints(unet: Mapping[str, object]) -> dict[str, object]:
    """The library's ``attention_head_dim`` has always meant the number of heads."""
    heads = unet.get("num_attention_heads") or unet.get("attention_head_dim")
    widths = unet.get("block_out_channels")
    if isinstance(heads, int):
        return {"unet_heads": heads}
    if isinstance(heads, list) and isinstance(widths, list) and heads and widths:
        first, width = heads[0], widths[0]
        if isinstance(first, int) and isinstance(width, int) and first > 0:
            return {"unet_head_channels": max(1, width // first)}
    return {}


def _config(path: Path) -> Mapping[str, object]:
    try:
        if not path.exists():
            return {}
        if path.stat().st_size > _MAX_JSON:
            raise CheckpointError(path, "is larger than any configuration; copy the model again")
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(path, "is no JSON; copy the model again") from error
    return tree if isinstance(tree, dict) else {}
