"""A hypernetwork while it is trained: residual networks before the keys and values of every attention."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from modules.adapters.hypernetwork import activation_named
from modules.adapters.new_files import HypernetworkShape, hypernetwork_file, hypernetwork_pairs
from modules.checkpoints.model import LoadedModel
from modules.exceptions import TrainingError
from modules.imaging.files import write_replacing
from modules.networks.unet import CrossAttention
from modules.training.finetuning.recipe import HypernetworkChoice, Optimisation
from modules.training.finetuning.trainee import ParameterGroup, RunFacts, noted_checkpoint

__all__ = ["HypernetworkTrainee", "shape_of_tree"]


class HypernetworkTrainee:
    """A new hypernetwork, or one to go on with. See :class:`~modules.training.finetuning.trainee.Trainee`.

    Args:
        model: the model; it stays as it is.
        name: of the hypernetwork.
        choice: how a new one is built.
        optimisation: learning rate.
        seed: draws the first values.
        tree: content of the file to go on with.

    Raises:
        TrainingError: the file's layers do not fit its own description, or have no place in this model.
    """

    suffix = ".pt"
    changes_text = False
    word = None

    def __init__(
        self,
        model: LoadedModel,
        name: str,
        choice: HypernetworkChoice,
        optimisation: Optimisation,
        *,
        seed: int = 0,
        tree: dict[object, object] | None = None,
    ) -> None:
        self._model, self._name, self._rate = model, name, optimisation.learning_rate
        torch.manual_seed(seed)
        self._shape = _shape(model, choice) if tree is None else shape_of_tree(tree)
        pairs = hypernetwork_pairs(self._shape)
        self._pairs: dict[int, tuple[nn.Sequential, nn.Sequential]] = {}
        for size, states in pairs.items():
            keys, values = (_sequence(size, self._shape, name) for _ in states)
            kept = states if tree is None else tree[size]
            _fill((keys, values), kept, name)
            self._pairs[size] = (keys, values)
        self.network = nn.ModuleDict({str(size): nn.ModuleList(pair) for size, pair in self._pairs.items()})
        self.network.to(model.runtime.device)
        self._handles = self._attach()
        if not self._handles:
            raise TrainingError(f'"{name}" has no network for any width of {model.file.stem}.')

    def groups(self) -> list[ParameterGroup]:
        """Everything, with one rate."""
        return [(list(self.network.parameters()), self._rate)]

    def write(self, path: Path, facts: RunFacts) -> None:
        """Write A1111's ``.pt``."""
        pairs = {size: (_state(keys), _state(values)) for size, (keys, values) in self._pairs.items()}
        checkpoint = noted_checkpoint(self._model.file)
        content = hypernetwork_file(self._name, self._shape, pairs, step=facts.step, checkpoint=checkpoint)
        write_replacing(path, content)

    def detach(self) -> None:
        """Take it off the model."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _attach(self) -> list[RemovableHandle]:
        handles = []
        for layer in self._model.unet.modules():
            if isinstance(layer, CrossAttention):
                for target, place in ((layer.to_k, 0), (layer.to_v, 1)):
                    if target.in_features in self._pairs:
                        handles.append(_read_through(target, self._pairs[target.in_features][place]))
        return handles


def _read_through(layer: nn.Module, network: nn.Module) -> RemovableHandle:
    def change(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0]
        return (x + network(x.float()).to(x.dtype),)

    return layer.register_forward_pre_hook(change)


def _shape(model: LoadedModel, choice: HypernetworkChoice) -> HypernetworkShape:
    """A network for every width of a context that the model has."""
    widths = {layer.to_k.in_features for layer in model.unet.modules() if isinstance(layer, CrossAttention)}
    dropout = (0.0, *[choice.dropout] * (len(choice.layers) - 2), 0.0) if choice.dropout else ()
    return HypernetworkShape(
        sizes=tuple(sorted(widths)),
        layers=choice.layers,
        activation=choice.activation.lower(),
        layer_norm=choice.layer_norm,
        dropout=dropout,
    )


def shape_of_tree(tree: dict[object, object]) -> HypernetworkShape:
    """How the networks in a file are built, from what the file says.

    Raises:
        TrainingError: they were built in a way that cannot be trained here.
    """
    layers, dropout = tree.get("layer_structure") or [1, 2, 1], tree.get("dropout_structure") or ()
    if tree.get("activate_output", True) and tree.get("activation_func") not in {None, "linear"}:
        raise TrainingError("Hypernetworks that activate their output are of an old kind; make a new one.")
    if not isinstance(layers, list | tuple) or not isinstance(dropout, list | tuple):
        raise TrainingError("The hypernetwork's file does not say how it is built; make a new one.")
    return HypernetworkShape(
        sizes=tuple(size for size in tree if isinstance(size, int)),
        layers=tuple(float(layer) for layer in layers),
        activation=str(tree.get("activation_func") or "linear"),
        layer_norm=bool(tree.get("is_layer_norm")),
        dropout=tuple(float(share) for share in dropout) if tree.get("use_dropout") else (),
    )


def _sequence(size: int, shape: HypernetworkShape, name: str) -> nn.Sequential:
    """One network; its parts have the places that the names in files count."""
    parts: list[nn.Module] = []
    last = len(shape.layers) - 2
    for index, (before, after) in enumerate(zip(shape.layers, shape.layers[1:], strict=False)):
        parts.append(nn.Linear(int(size * before), int(size * after)))
        activation = activation_named(Path(name), shape.activation)
        if activation is not None and index != last:
            parts.append(activation)
        if shape.layer_norm:
            parts.append(nn.LayerNorm(int(size * after)))
        if index + 1 < len(shape.dropout) and shape.dropout[index + 1] > 0:
            parts.append(nn.Dropout(shape.dropout[index + 1]))
    return nn.Sequential(*parts)


def _fill(networks: Sequence[nn.Module], states: object, name: str) -> None:
    try:
        if not isinstance(states, Sequence) or not all(isinstance(state, Mapping) for state in states):
            raise TypeError("they are no pair of dictionaries")
        for network, state in zip(networks, states, strict=True):
            named = {str(key).removeprefix("linear."): value for key, value in state.items()}
            network.load_state_dict(named)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TrainingError(f'The layers of "{name}" do not fit its description: {error}') from error


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {f"linear.{key}": tensor.detach().cpu() for key, tensor in network.state_dict().items()}
