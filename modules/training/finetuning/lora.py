"""A LoRA while it is trained: small matrices beside the layers of a model.

The tensors' names and the metadata are those of kohya's trainer, which every program reads.

Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models".
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from modules.adapters.module_names import Layer, layers_by_name
from modules.checkpoints.model import LoadedModel
from modules.exceptions import TrainingError
from modules.imaging.files import write_replacing
from modules.networks.unet import Downsample, ResBlock, SpatialTransformer
from modules.networks.upsample import Upsample
from modules.training.finetuning.lora_metadata import lora_file
from modules.training.finetuning.recipe import LoraShape, Optimisation
from modules.training.finetuning.trainee import ParameterGroup, RunFacts

__all__ = ["LoraTrainee", "LowRank", "lora_layers"]

_TEXT_LAYER = re.compile(r"_text_model_encoder_layers_\d+_(self_attn_(q|k|v|out)_proj|mlp_fc[12])$")


class _Factor(nn.Module):
    """One small matrix under the name that files give it."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)


class LowRank(nn.Module):
    """``alpha / rank * up(down(x))`` for one layer; zero at first.

    Args:
        weight: the layer's weight, (O, I) or (O, I, k, l).
        layer: the layer, whose stride and padding a convolution takes over.
        rank: columns between.
        alpha: strength times the rank.
    """

    alpha: Tensor

    def __init__(self, weight: Tensor, layer: nn.Module, *, rank: int, alpha: float) -> None:
        super().__init__()
        device, out_rows = weight.device, weight.shape[0]
        down = torch.empty(rank, *weight.shape[1:])
        nn.init.kaiming_uniform_(down, a=math.sqrt(5))  # drawn on the CPU: the same on every device
        ones = (1,) * (weight.ndim - 2)
        self.lora_down = _Factor(down.to(device))
        self.lora_up = _Factor(torch.zeros(out_rows, rank, *ones, device=device))
        self.register_buffer("alpha", torch.tensor(float(alpha)))
        self._scale = alpha / rank
        self._stride = layer.stride if isinstance(layer, nn.Conv2d) else (1, 1)
        self._padding = layer.padding if isinstance(layer, nn.Conv2d) else 0

    def forward(self, x: Tensor) -> Tensor:
        """What is added to the layer's output for its input ``x``."""
        down, up = self.lora_down.weight.to(x.dtype), self.lora_up.weight.to(x.dtype)
        if down.ndim == 2:
            return F.linear(F.linear(x, down), up) * self._scale
        return F.conv2d(F.conv2d(x, down, None, self._stride, self._padding), up) * self._scale

    def change(self) -> Tensor:
        """What is added to the layer's weight, (O, I)."""
        return self.lora_up.weight @ self.lora_down.weight * self._scale


class _FusedChange(nn.Module):
    """Adds the changes of queries, keys and values to the matrix that holds all three."""

    def __init__(self, thirds: Sequence[LowRank]) -> None:
        super().__init__()
        vars(self)["_thirds"] = tuple(thirds)  # no submodules: they belong to the LoRA

    def forward(self, weight: Tensor) -> Tensor:
        thirds: tuple[LowRank, ...] = vars(self)["_thirds"]
        return weight + torch.cat([third.change() for third in thirds]).to(weight.dtype)


@dataclass(frozen=True, eq=False)
class _Target:
    name: str
    layer: Layer
    rank: int
    alpha: float

    @property
    def weight(self) -> Tensor:
        """The weight, of a fused layer its third."""
        whole = self.layer.parameter.detach()
        return whole if self.layer.third is None else whole.chunk(3)[self.layer.third]


def lora_layers(model: LoadedModel, shape: LoraShape) -> list[_Target]:
    """The layers that a LoRA of this shape changes, under the names that its file will have."""
    names = _names(model)
    targets = []
    for layer, is_inside in _unet_layers(model):
        kernel = layer.parameter.shape[2:]
        if any(side > 1 for side in kernel):
            if shape.conv_rank:
                alpha = shape.conv_alpha or float(shape.conv_rank)
                targets.append(_Target(names[layer.path], layer, shape.conv_rank, alpha))
        elif is_inside or shape.conv_rank:
            targets.append(_Target(names[layer.path], layer, shape.rank, shape.alpha or float(shape.rank)))
    if shape.text_encoder:
        targets += [
            _Target(names[layer.path], layer, shape.rank, shape.alpha or float(shape.rank))
            for layer in _text_layers(model)
        ]
    return targets


def _names(model: LoadedModel) -> dict[str, str]:
    """The name that a file gives to each layer: original paths or diffusers', as the family's files have."""
    wants_original = model.family.lora_names == "original"
    names: dict[str, str] = {}
    for name, layer in layers_by_name(model).items():
        original = f"lora_unet_{layer.path.removeprefix('unet.').replace('.', '_')}"
        if _TEXT_LAYER.search(name) if layer.is_text else (name == original) == wants_original:
            names.setdefault(layer.path, name)
    return names


def _unet_layers(model: LoadedModel) -> Iterator[tuple[Layer, bool]]:
    """Matrices and convolutions of the U-Net's blocks, with whether they are inside a transformer."""
    for path, block in model.unet.named_modules():
        if isinstance(block, SpatialTransformer | ResBlock | Downsample | Upsample):
            for inner, module in block.named_modules():
                if isinstance(module, nn.Linear | nn.Conv2d):
                    layer = Layer(f"unet.{path}.{inner}", module)
                    yield layer, isinstance(block, SpatialTransformer)


def _text_layers(model: LoadedModel) -> list[Layer]:
    layers = layers_by_name(model).items()
    found = {layer.path: layer for name, layer in layers if layer.is_text and _TEXT_LAYER.search(name)}
    return list(found.values())


class LoraTrainee:
    """A new LoRA, attached to a model. See :class:`~modules.training.finetuning.trainee.Trainee`.

    Args:
        model: the model; its own weights stay as they are.
        shape: ranks, and whether the text encoder is changed.
        optimisation: learning rates.
        seed: draws the first values.

    Raises:
        TrainingError: there is nothing to change.
    """

    suffix = ".safetensors"
    word = None

    def __init__(self, model: LoadedModel, shape: LoraShape, optimisation: Optimisation, seed: int) -> None:
        self._model, self._shape, self._optimisation = model, shape, optimisation
        torch.manual_seed(seed)
        targets = lora_layers(model, shape)
        if not targets:
            raise TrainingError("This model has no layers that a LoRA could change.")
        self._changes = {
            target.name: LowRank(target.weight, target.layer.module, rank=target.rank, alpha=target.alpha)
            for target in targets
        }
        self.network = nn.ModuleDict(self._changes)
        self.changes_text = shape.text_encoder
        self._text_names = {target.name for target in targets if target.layer.is_text}
        self._handles: list[RemovableHandle] = []
        self._fused: list[tuple[nn.Module, str]] = []
        self._attach(targets)

    def groups(self) -> list[ParameterGroup]:
        """U-Net and text encoder, each with its rate."""
        rate = self._optimisation.learning_rate
        unet: list[nn.Parameter] = []
        text: list[nn.Parameter] = []
        for name, module in self._changes.items():
            (text if name in self._text_names else unet).extend(module.parameters())
        return [(unet, rate), (text, self._optimisation.text_learning_rate or rate / 2)]

    def write(self, path: Path, facts: RunFacts) -> None:
        """Write a safetensors file in kohya's layout, in half precision."""
        tensors = {name: tensor.detach().half().cpu() for name, tensor in self.network.state_dict().items()}
        write_replacing(path, lora_file(tensors, self._model, self._shape, facts))

    def detach(self) -> None:
        """Take the LoRA off the model."""
        for handle in self._handles:
            handle.remove()
        for module, name in self._fused:
            parametrize.remove_parametrizations(module, name, leave_parametrized=False)
        self._handles, self._fused = [], []

    def _attach(self, targets: Sequence[_Target]) -> None:
        thirds: dict[nn.Module, list[_Target]] = {}
        for target in targets:
            if target.layer.third is None:
                self._handles.append(_add_output(target.layer.module, self._changes[target.name]))
            else:
                thirds.setdefault(target.layer.module, []).append(target)
        for module, parts in thirds.items():
            parts.sort(key=lambda part: part.layer.third or 0)
            change = _FusedChange([self._changes[part.name] for part in parts])
            weight = parts[0].layer.weight
            parametrize.register_parametrization(module, weight, change, unsafe=True)
            self._fused.append((module, weight))


def _add_output(layer: nn.Module, change: LowRank) -> RemovableHandle:
    def add(_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + change(inputs[0])

    return layer.register_forward_hook(add)
