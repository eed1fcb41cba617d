"""Putting adapters on a model and taking them off again, to the bit.

Changed weights are new tensors; the originals are kept by reference and put back when the adapters go.
Nothing is ever subtracted, so nothing drifts.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from modules.adapters.deltas import Delta
from modules.adapters.functional import attach_change, can_attach
from modules.adapters.hypernetwork import attach_hypernetwork, read_hypernetwork
from modules.adapters.lora import LoraFile, change_of, read_lora
from modules.adapters.module_names import Layer, layers_by_name
from modules.adapters.textual_inversion import Embedding, EmbeddingSource
from modules.checkpoints.model import LoadedModel
from modules.exceptions import AdapterError, CheckpointError

__all__ = ["BundledEmbeddings", "Patch", "apply_patches", "bundled_embeddings", "patch_comments"]

log = logging.getLogger(__name__)

_STATE = "adapters_in_force"  # where a model's U-Net keeps what was done to the model


@dataclass(frozen=True)
class Patch:
    """An adapter file and how strongly it acts.

    Attributes:
        name: as the prompt mentions it.
        path: a safetensors file; of a pickled one its checked copy.
        te_multiplier: strength in the text encoders.
        unet_multiplier: strength in the U-Net.
        dyn_dim: use only the first ranks of a LoRA.
        kind: which sort of file it is.
        shorthash: first 12 digits of the original file's hash, "" if it was not hashed.
        functional: act beside the weights instead of in them.
    """

    name: str
    path: Path
    te_multiplier: float = 1.0
    unet_multiplier: float = 1.0
    dyn_dim: int | None = None
    kind: Literal["lora", "hypernet"] = "lora"
    shorthash: str = ""
    functional: bool = False


@dataclass(frozen=True)
class BundledEmbeddings:
    """Embeddings that came inside a LoRA file; prompts may name them while it is applied."""

    embeddings: Mapping[str, Embedding]
    version: int = 0

    def names(self) -> tuple[str, ...]:
        """Names of the embeddings."""
        return tuple(self.embeddings)

    def get(self, name: str) -> Embedding:
        """The embedding of that name."""
        return self.embeddings[name]


@dataclass
class _InForce:
    """What was done to a model, with all that is needed to undo it."""

    patches: tuple[Patch, ...] = ()
    originals: dict[tuple[nn.Module, str], nn.Parameter | None] = field(default_factory=dict)
    hooks: list[RemovableHandle] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    bundles: list[EmbeddingSource] = field(default_factory=list)

    def replace(self, module: nn.Module, name: str, value: Tensor) -> None:
        parameters: dict[str, nn.Parameter | None] = vars(module)["_parameters"]
        self.originals.setdefault((module, name), parameters.get(name))
        parameters[name] = nn.Parameter(value, requires_grad=False)

    def undo(self) -> None:
        for (module, name), original in self.originals.items():
            parameters: dict[str, nn.Parameter | None] = vars(module)["_parameters"]
            changed, parameters[name] = parameters.get(name), original
            if original is not None and changed is not None and original.device != changed.device:
                original.data = original.data.to(changed.device)  # the network has moved meanwhile
        for hook in self.hooks:
            hook.remove()


def _in_force(model: LoadedModel) -> _InForce:
    state = vars(model.unet).get(_STATE)
    return state if isinstance(state, _InForce) else _InForce()


def patch_comments(model: LoadedModel) -> tuple[str, ...]:
    """What could not be done when the adapters in force were applied, one sentence each."""
    return tuple(_in_force(model).comments)


def bundled_embeddings(model: LoadedModel) -> tuple[EmbeddingSource, ...]:
    """Embeddings inside the LoRA files that are in force."""
    return tuple(_in_force(model).bundles)


def apply_patches(model: LoadedModel, patches: tuple[Patch, ...]) -> tuple[str, ...]:
    """Put exactly these adapters on a model, in this order, taking off all others.

    An adapter that cannot be used, or is made for another kind of model, is left out with a comment.

    Returns:
        The comments, as :func:`patch_comments` will have them.
    """
    current = _in_force(model)
    if current.patches == patches:
        return tuple(current.comments)
    model.execution.forget_recordings()
    model.send_home()  # changed and original weights lie at the same place
    current.undo()
    state = _InForce()
    vars(model.unet)[_STATE] = state
    try:
        _apply_all(state, model, patches)
        state.patches = patches
    finally:
        if state.patches != patches:  # the device is full: leave the model as it was without adapters
            state.undo()
            del vars(model.unet)[_STATE]
    return tuple(state.comments)


def _apply_all(state: _InForce, model: LoadedModel, patches: tuple[Patch, ...]) -> None:
    layers = layers_by_name(model) if any(patch.kind == "lora" for patch in patches) else {}
    with torch.no_grad():
        for patch in patches:
            try:
                if patch.kind == "hypernet":
                    network = read_hypernetwork(patch.path, Path(patch.name))
                    state.hooks += attach_hypernetwork(model.unet, network, patch.unet_multiplier)
                else:
                    _apply_lora(state, patch, layers)
            except (AdapterError, CheckpointError) as error:
                reason = str(error).removeprefix(f"{error.path.name}: ")
                state.comments.append(f'"{patch.name}" was not used: {reason}')


def _apply_lora(state: _InForce, patch: Patch, layers: Mapping[str, Layer]) -> None:
    file = read_lora(patch.path, Path(patch.name))
    matched = [(layers[name], parts) for name, parts in file.modules.items() if name in layers]
    unfit = _changes(state, patch, matched)
    if file.embeddings:
        state.bundles.append(_bundled(patch, file))
    if not matched and not file.embeddings:
        raise AdapterError(
            patch.name, "it has no layer in common with this model; it is made for another kind"
        )
    if unfit:
        state.comments.append(
            f'"{patch.name}" is made for another kind of model: {len(unfit)} of its {len(matched)} layers '
            f"do not fit ({unfit[0]}) and were left out."
        )
    for name in file.modules.keys() - layers.keys():
        log.debug("%s: nothing in the model is called %s", patch.name, name)


def _changes(state: _InForce, patch: Patch, matched: list[tuple[Layer, Mapping[str, Tensor]]]) -> list[str]:
    """Change every layer that fits; return why others do not."""
    unfit = []
    for layer, parts in matched:
        multiplier = patch.te_multiplier if layer.is_text else patch.unet_multiplier
        try:
            change = change_of(parts, layer, multiplier, patch.dyn_dim)
        except ValueError as error:
            unfit.append(f"{layer.path}: {error}")
            continue
        if change is None:
            unfit.append(f"{layer.path}: unknown kind of module with {', '.join(sorted(parts))}")
        else:
            _add(state, layer, change, functional=patch.functional)
    return unfit


def _add(state: _InForce, layer: Layer, change: Delta, *, functional: bool) -> None:
    if functional and layer.third is None and can_attach(layer.module):
        state.hooks.append(attach_change(layer.module, change))
        return
    state.replace(layer.module, layer.weight, _changed(layer.parameter, change, layer.third))
    if change.bias is not None:
        bias: nn.Parameter | None = vars(layer.module)["_parameters"].get(layer.bias)
        if bias is None:
            state.replace(layer.module, layer.bias, change.bias.to(layer.parameter.dtype))
        else:
            state.replace(layer.module, layer.bias, _changed(bias, Delta(change.bias), layer.third))


def _changed(weight: Tensor, change: Delta, third: int | None) -> Tensor:
    """Change a weight, or one third of it, leaving the others as they are."""
    if third is None:
        return change.added_to(weight)
    parts = list(weight.chunk(3))
    parts[third] = change.added_to(parts[third])
    return torch.cat(parts)


def _bundled(patch: Patch, file: LoraFile) -> BundledEmbeddings:
    return BundledEmbeddings(
        {
            name: Embedding(name, content, patch.name, is_bundled=True)
            for name, content in file.embeddings.items()
        }
    )
