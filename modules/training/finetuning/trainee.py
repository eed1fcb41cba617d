"""What is trained, as the loop sees it; LoRA, embedding, hypernetwork and checkpoint are such."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import nn

from modules.checkpoints.files import CheckpointFile
from modules.training.finetuning.recipe import FineTuneRecipe
from modules.training.finetuning.texts import TaughtWord

__all__ = ["ParameterGroup", "RunFacts", "Trainee", "noted_checkpoint"]

ParameterGroup = tuple[Sequence[nn.Parameter], float]
"""Parameters and their learning rate."""


@dataclass(frozen=True)
class RunFacts:
    """What a result's metadata says about its making.

    Attributes:
        recipe: the recipe.
        step: updates done.
        losses: the loss of each.
        pictures: number of pictures.
        batches_per_round: batches until all were seen.
        captions: every picture's own caption.
        resolution: pixels of a square picture's side.
        started: seconds since 1970.
    """

    recipe: FineTuneRecipe
    step: int
    losses: Sequence[float]
    pictures: int
    batches_per_round: int
    captions: Sequence[str]
    resolution: int
    started: float


def noted_checkpoint(file: CheckpointFile) -> tuple[str, str]:
    """Short hash, as far as it is known already, and name of a checkpoint, as A1111's files note them."""
    return (file.known_sha256 or "")[:10], file.model_name


class Trainee(Protocol):
    """Something that is trained inside a model.

    Attributes:
        changes_text: whether the encoding of captions changes while training.
        suffix: of the result's file.
    """

    changes_text: bool
    suffix: str

    @property
    def word(self) -> TaughtWord | None:
        """The word whose vectors are trained, if it is one."""
        ...

    @property
    def network(self) -> nn.Module:
        """Holds everything that is trained, and nothing else; its state is what is resumed."""
        ...

    def groups(self) -> list[ParameterGroup]:
        """What is trained, with its learning rates."""
        ...

    def write(self, path: Path, facts: RunFacts) -> None:
        """Write the result as it is now.

        Raises:
            StorageError: the file cannot be written.
        """
        ...

    def detach(self) -> None:
        """Leave the model as it was before, where that is possible."""
        ...
