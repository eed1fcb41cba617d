"""Merging checkpoints: A, B and C become one file that remembers how it was made.

Formulas, file names and metadata are those of A1111's Checkpoint Merger.
"""

import json
import logging
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.checkpoints.files import CheckpointFile, VaeFile
from modules.checkpoints.hashes import legacy_hash
from modules.checkpoints.weights import Weights, open_checkpoint, open_vae
from modules.exceptions import CheckpointError, RequestError
from modules.families.detect import UNET_PREFIX

__all__ = [
    "ConfigSource",
    "MergeMethod",
    "MergeRecipe",
    "default_name",
    "merge_checkpoints",
    "read_merge_metadata",
]

log = logging.getLogger(__name__)

MergeMethod = Literal["No interpolation", "Weighted sum", "Add difference"]
ConfigSource = Literal["A, B or C", "B", "C", "Don't"]
Progress = Callable[[float], None]

_INPUT_CONVOLUTION = UNET_PREFIX + "input_blocks.0.0.weight"
_LATENT_CHANNELS = 4
_SUFFIX_BY_CHANNELS = {9: ".inpainting", 8: ".instruct-pix2pix"}
_NEVER_MERGED = frozenset({"cond_stage_model.transformer.text_model.embeddings.position_ids"})
_FORBIDDEN_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


@dataclass(frozen=True)
class MergeRecipe:
    """Everything that decides the result.

    Attributes:
        primary, secondary, tertiary: A, B and C; which of them are needed follows from the method.
        multiplier: M, 0..1: the share of B, or how much of B - C is added.
        half: whether float32 becomes float16.
        name: file name without extension, "" for one that follows from the recipe.
        config_source: whose sidecar ``.yaml`` is copied.
        vae: replaces the VAE inside.
        discard: regular expression of the names of weights that are left out, "" for none.
        save_metadata: whether the file gets any metadata.
        add_recipe: whether the recipe is part of it.
        copy_metadata: whether metadata of the merged files is taken over.
        extra_metadata: what the user adds.
    """

    primary: CheckpointFile
    secondary: CheckpointFile | None = None
    tertiary: CheckpointFile | None = None
    method: MergeMethod = "Weighted sum"
    multiplier: float = 0.3
    half: bool = False
    name: str = ""
    config_source: ConfigSource = "A, B or C"
    vae: VaeFile | None = None
    discard: str = ""
    save_metadata: bool = True
    add_recipe: bool = True
    copy_metadata: bool = True
    extra_metadata: Mapping[str, str] | None = None

    @property
    def used(self) -> tuple[CheckpointFile, ...]:
        """The checkpoints that the method uses."""
        wanted: Iterable[CheckpointFile | None] = {
            "No interpolation": (self.primary,),
            "Weighted sum": (self.primary, self.secondary),
            "Add difference": (self.primary, self.secondary, self.tertiary),
        }[self.method]
        return tuple(file for file in wanted if file is not None)

    def check(self) -> None:
        """Refuse what cannot be merged.

        Raises:
            RequestError: a checkpoint is missing, or a value is none; ``field`` names it.
        """
        if self.method != "No interpolation" and self.secondary is None:
            raise RequestError("secondary_model_name", f"{self.method} needs a secondary model (B).")
        if self.method == "Add difference" and self.tertiary is None:
            raise RequestError("tertiary_model_name", "Add difference needs a tertiary model (C).")
        if not 0 <= self.multiplier <= 1:
            raise RequestError("interp_amount", "The multiplier must be between 0 and 1.")
        try:
            re.compile(self.discard)
        except re.error as error:
            raise RequestError("discard_weights", f"This is no regular expression: {error}.") from error
        if _FORBIDDEN_IN_NAMES.search(self.name) or self.name.startswith("."):
            raise RequestError(
                "custom_name", 'A file name must not hold any of / \\ : * ? " < > | nor begin with a dot.'
            )


def default_name(recipe: MergeRecipe) -> str:
    """File name without extension that says what was merged: ``0.7(A) + 0.3(B)``."""
    a, share = recipe.primary.model_name, recipe.multiplier
    if recipe.method == "No interpolation" or recipe.secondary is None:
        return a
    b = recipe.secondary.model_name
    if recipe.method == "Weighted sum":
        return f"{round(1 - share, 2)}({a}) + {round(share, 2)}({b})"
    c = recipe.tertiary.model_name if recipe.tertiary is not None else ""
    return f"{a} + {round(share, 2)}({b} - {c})"


def merge_checkpoints(recipe: MergeRecipe, folder: Path, progress: Progress = lambda _: None) -> Path:
    """Merge and save below ``folder``; an existing file is never overwritten.

    Args:
        recipe: what to merge and how.
        folder: where the result goes, A1111's ``models/Stable-diffusion``.
        progress: told the share of the work that is done, 0..1.

    Returns:
        The new file.

    Raises:
        RequestError: the recipe cannot be followed.
        CheckpointError: a file cannot be read or does not fit the others.
    """
    recipe.check()
    sources = [open_checkpoint(file) for file in recipe.used]
    suffix = _SUFFIX_BY_CHANNELS.get(_input_channels(sources[0]), "")
    _refuse_wider(sources)
    tensors = dict(_merged(recipe, sources, progress))
    metadata = _metadata(recipe, suffix) if recipe.save_metadata else {"format": "pt"}
    path = _free_path(folder, (recipe.name or default_name(recipe)) + suffix)
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, partial, metadata=metadata)
        partial.chmod(0o644)  # the library makes files that only their owner can read
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _copy_config(recipe, path)
    progress(1.0)
    return path


def read_merge_metadata(files: Iterable[CheckpointFile | None]) -> dict[str, str]:
    """Metadata of all files in one, later files winning; what the merger's page shows for editing."""
    merged: dict[str, str] = {}
    for file in files:
        if file is not None:
            merged |= {key: text for key, text in file.metadata.items() if key != "format"}
    return merged


# --- the weights ----------------------------------------------------------------------------------


def _merged(recipe: MergeRecipe, sources: list[Weights], progress: Progress) -> Iterator[tuple[str, Tensor]]:
    first = sources[0]
    discard = re.compile(recipe.discard) if recipe.discard else None
    vae = open_vae(recipe.vae.path, recipe.vae.store) if recipe.vae is not None else None
    baked = frozenset() if vae is None else frozenset(vae.header.tensors)
    names = tuple(first.header.tensors)
    for done, name in enumerate(names):
        progress(done / len(names) * 0.9)
        if discard is not None and discard.search(name):
            continue
        if vae is not None and name in baked:
            tensor = vae.tensor(name)
        else:
            tensor = _combined(recipe, sources, name)
        if recipe.half and tensor.dtype == torch.float32:
            tensor = tensor.half()
        yield name, tensor.contiguous()


def _combined(recipe: MergeRecipe, sources: list[Weights], name: str) -> Tensor:
    a = sources[0].tensor(name)
    if len(sources) == 1 or "model" not in name or name in _NEVER_MERGED or not a.is_floating_point():
        return a
    if name not in sources[1].header.tensors:
        return a
    b = sources[1].tensor(name).float()
    if len(sources) == 3:
        c = sources[2].tensor(name).float() if name in sources[2].header.tensors else b
        if c.shape != b.shape:
            raise _unfit(sources[2], name, c.shape, b.shape)
        b = b - c
    mixed = a.float()
    part = mixed
    if a.shape != b.shape:
        if name != _INPUT_CONVOLUTION or b.shape[1] != _LATENT_CHANNELS:
            raise _unfit(sources[1], name, b.shape, a.shape)
        mixed = mixed.clone()
        part = mixed[:, :_LATENT_CHANNELS]
    share = recipe.multiplier
    result = part + share * b if len(sources) == 3 else (1 - share) * part + share * b
    if part is mixed:
        return result.to(a.dtype)
    mixed[:, :_LATENT_CHANNELS] = result
    return mixed.to(a.dtype)


def _input_channels(weights: Weights) -> int:
    shape = weights.header.shape(_INPUT_CONVOLUTION)
    return shape[1] if shape else _LATENT_CHANNELS


def _refuse_wider(sources: list[Weights]) -> None:
    """A checkpoint with extra input channels (inpainting) can only be A."""
    for other in sources[1:]:
        if _input_channels(other) > _input_channels(sources[0]):
            raise CheckpointError(
                other.header.path,
                "it takes more input channels than the primary model; choose it as the primary model (A)",
            )


def _unfit(weights: Weights, name: str, shape: Iterable[int], wanted: Iterable[int]) -> CheckpointError:
    return CheckpointError(
        weights.header.path,
        f"{name} has the shape {tuple(shape)} instead of {tuple(wanted)}; "
        "models of different families cannot be merged",
    )


# --- what goes with them ----------------------------------------------------------------------------


def _metadata(recipe: MergeRecipe, suffix: str) -> dict[str, str]:
    metadata = {"format": "pt"}
    if recipe.copy_metadata:
        metadata |= read_merge_metadata(recipe.used)
    metadata |= dict(recipe.extra_metadata or {})
    if not recipe.add_recipe:
        return metadata
    hashes = [file.sha256 for file in (recipe.primary, recipe.secondary, recipe.tertiary) if file is not None]
    hashes += [None] * (3 - len(hashes))
    metadata["sd_merge_recipe"] = json.dumps(
        {
            "type": "webui",
            "primary_model_hash": hashes[0],
            "secondary_model_hash": hashes[1],
            "tertiary_model_hash": hashes[2],
            "interp_method": recipe.method,
            "multiplier": recipe.multiplier,
            "save_as_half": recipe.half,
            "custom_name": recipe.name,
            "config_source": recipe.config_source,
            "bake_in_vae": recipe.vae.name if recipe.vae is not None else "None",
            "discard_weights": recipe.discard,
            "is_inpainting": suffix == _SUFFIX_BY_CHANNELS[9],
            "is_instruct_pix2pix": suffix == _SUFFIX_BY_CHANNELS[8],
        }
    )
    models: dict[str, object] = {}
    for file in recipe.used:
        models |= _json_object(file.metadata.get("sd_merge_models", ""))
        models[file.sha256 or file.name] = {
            "name": file.name,
            "legacy_hash": None if file.is_folder else legacy_hash(file.path),
            "sd_merge_recipe": _json_object(file.metadata.get("sd_merge_recipe", "")) or None,
        }
    metadata["sd_merge_models"] = json.dumps(models)
    return metadata


def _json_object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _free_path(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    number = 2
    while path.exists():
        path = folder / f"{name} ({number}).safetensors"
        number += 1
    return path


def _copy_config(recipe: MergeRecipe, path: Path) -> None:
    candidates: Iterable[CheckpointFile | None] = {
        "A, B or C": (recipe.primary, recipe.secondary, recipe.tertiary),
        "B": (recipe.secondary,),
        "C": (recipe.tertiary,),
        "Don't": (),
    }[recipe.config_source]
    for file in candidates:
        if file is not None and file.sidecar is not None:
            shutil.copyfile(file.sidecar, path.with_suffix(".yaml"))
            return
