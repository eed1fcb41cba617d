"""A textual inversion while it is trained: the vectors of one word.

Source: Gal et al. 2022, "An Image is Worth One Word: Personalizing Text-to-Image Generation using Textual
Inversion".
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from modules.adapters.new_files import embedding_file
from modules.checkpoints.model import LoadedModel
from modules.conditioning.tokenizer import clip_tokenizer
from modules.exceptions import TrainingError
from modules.imaging.files import write_replacing
from modules.training.finetuning.recipe import EmbeddingShape, Optimisation
from modules.training.finetuning.trainee import ParameterGroup, RunFacts, noted_checkpoint

__all__ = ["WordTrainee"]


class WordTrainee:
    """Vectors for each text encoder. See :class:`~modules.training.finetuning.trainee.Trainee`.

    Args:
        model: the model; it stays as it is.
        name: the word.
        shape: how many vectors, and what they begin as.
        optimisation: learning rate.
        first: vectors (N, W) by text encoder to go on with, "" for a model's only one.

    Raises:
        TrainingError: the vectors to go on with are for another model.
    """

    changes_text = True

    def __init__(
        self,
        model: LoadedModel,
        name: str,
        shape: EmbeddingShape,
        optimisation: Optimisation,
        first: dict[str, Tensor] | None = None,
    ) -> None:
        self.name = name
        self._model, self._shape, self._rate = model, shape, optimisation.learning_rate
        roles = model.family.text_encoders
        self._keys = [role.embedding_key for role in roles] if len(roles) > 1 else [""]
        begin = first or {
            key: _initial(model, index, shape.initial_text, shape.vectors)
            for index, key in enumerate(self._keys)
        }
        widths = {key: encoder.width for key, encoder in zip(self._keys, model.text_encoders, strict=True)}
        if {key: tensor.shape[1] for key, tensor in begin.items()} != widths:
            raise TrainingError(
                f'The embedding "{name}" is for another kind of model than {model.file.stem}.'
            )
        self.count = len(begin[self._keys[0]])
        device = model.runtime.device
        self.network = nn.ParameterList(begin[key].detach().float().clone().to(device) for key in self._keys)
        self.suffix = self._content(("", ""), 0)[0]

    @property
    def word(self) -> "WordTrainee":
        """This one."""
        return self

    def vectors(self, encoder: int) -> Tensor:
        """The vectors (N, W) for one of the model's text encoders."""
        return self.network[encoder]

    def groups(self) -> list[ParameterGroup]:
        """All vectors, with one rate."""
        return [(list(self.network), self._rate)]

    def write(self, path: Path, facts: RunFacts) -> None:
        """Write A1111's ``.pt``, or safetensors where that was chosen or several encoders need it."""
        write_replacing(path, self._content(noted_checkpoint(self._model.file), facts.step)[1])

    def detach(self) -> None:
        """Nothing is attached to the model."""

    def _content(self, checkpoint: tuple[str, str], step: int) -> tuple[str, bytes]:
        vectors = {key: tensor.detach().cpu() for key, tensor in zip(self._keys, self.network, strict=True)}
        return embedding_file(
            self.name,
            vectors,
            checkpoint=checkpoint,
            step=step,
            as_safetensors=self._shape.format == "safetensors",
        )


@torch.no_grad()
def _initial(model: LoadedModel, encoder: int, text: str, count: int) -> Tensor:
    """The vectors of some words, spread over the new ones; zeros where there are none."""
    network, role = model.text_encoders[encoder], model.family.text_encoders[encoder]
    tokens = clip_tokenizer(role.architecture).encode(text)
    if not tokens:
        return torch.zeros(count, network.width)
    chosen = [tokens[index * len(tokens) // count] for index in range(count)]
    return network.embed_tokens(torch.tensor([chosen], device=model.runtime.device))[0].float().cpu()
