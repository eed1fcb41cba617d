"""A whole model while it is trained: U-Net, and text encoders where wanted; the result is a checkpoint."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from modules.checkpoints.loader import detect_checkpoint
from modules.checkpoints.model import LoadedModel
from modules.checkpoints.weights import open_checkpoint
from modules.families.detect import UNET_PREFIX
from modules.training.export import export_checkpoint
from modules.training.finetuning.recipe import Optimisation
from modules.training.finetuning.trainee import ParameterGroup, RunFacts

__all__ = ["WholeTrainee"]

_OLD_START = "text_model."  # what the first months' files leave out


class WholeTrainee:
    """The model itself. See :class:`~modules.training.finetuning.trainee.Trainee`.

    Args:
        model: loaded in 32-bit floats; it is changed for good.
        optimisation: learning rates.
        text_encoder: whether the text encoders are trained too.
    """

    suffix = ".safetensors"
    word = None

    def __init__(self, model: LoadedModel, optimisation: Optimisation, *, text_encoder: bool) -> None:
        self._model, self._optimisation = model, optimisation
        texts = [encoder for encoder in model.text_encoders if isinstance(encoder, nn.Module)]
        self._texts = texts if text_encoder else []
        self.changes_text = text_encoder
        self.network = nn.ModuleList([model.unet, *self._texts]).requires_grad_(True)

    def groups(self) -> list[ParameterGroup]:
        """U-Net and text encoders, each with its rate."""
        rate = self._optimisation.learning_rate
        text = [parameter for encoder in self._texts for parameter in encoder.parameters()]
        text_rate = self._optimisation.text_learning_rate or rate / 2
        return [(list(self._model.unet.parameters()), rate), (text, text_rate)]

    def write(self, path: Path, facts: RunFacts) -> None:
        """Write the checkpoint in half precision, with everything else that the first one held."""
        file = self._model.file
        weights, detected = open_checkpoint(file), detect_checkpoint(file)
        trained = {UNET_PREFIX + name: tensor for name, tensor in self._model.unet.state_dict().items()}
        for encoder, text in zip(self._texts, detected.texts, strict=False):
            trained |= {text.prefix + name: tensor for name, tensor in encoder.state_dict().items()}
        old_names = {name.replace(_OLD_START, "", 1) for name in trained if _OLD_START in name}
        kept = (name for name in weights.header.tensors if name not in trained and name not in old_names)
        tensors = {name: weights.tensor(name).contiguous() for name in kept}
        tensors |= {name: _stored(tensor) for name, tensor in trained.items()}
        metadata = dict(weights.header.metadata)
        metadata |= {
            "modelspec.title": facts.recipe.name,
            "modelspec.trigger_phrase": facts.recipe.word,
            "training": json.dumps({"base": file.name, "steps": facts.step}),
        }
        export_checkpoint(tensors, metadata, path)
        if file.sidecar is not None:
            path.with_suffix(".yaml").write_bytes(file.sidecar.read_bytes())

    def detach(self) -> None:
        """The model stays as it has become; it is only not trained any more."""
        self.network.requires_grad_(False)


def _stored(tensor: Tensor) -> Tensor:
    plain = tensor.detach().cpu()
    return (plain.to(torch.float16) if plain.is_floating_point() else plain).contiguous()
