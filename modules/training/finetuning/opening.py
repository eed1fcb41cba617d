"""From a recipe to a run: everything that can be wrong is said here, before training starts."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.files import CheckpointFile
from modules.checkpoints.loader import detect_checkpoint, load_model
from modules.checkpoints.model import LoadedModel
from modules.exceptions import TrainingError, WebuiError
from modules.families.detect import DetectedModel
from modules.families.family import Family
from modules.runtime.device import Runtime, free_memory
from modules.settings.launch import Folders
from modules.training.finetuning.hypernet import HypernetworkTrainee
from modules.training.finetuning.lora import LoraTrainee
from modules.training.finetuning.memory import foresee
from modules.training.finetuning.pictures import PictureSet, read_pictures
from modules.training.finetuning.presets import PRESETS, fitting_preset
from modules.training.finetuning.recipe import FineTuneRecipe
from modules.training.finetuning.session import FineTuning, is_begun
from modules.training.finetuning.trainee import Trainee
from modules.training.finetuning.whole import WholeTrainee
from modules.training.finetuning.word import WordTrainee

__all__ = ["TrainingRoom"]

_GIB = 2**30


@dataclass(frozen=True, eq=False)
class TrainingRoom:
    """What runs are opened with.

    Attributes:
        folders: where models and results lie.
        catalog: checkpoints and VAEs.
        embeddings: textual inversions; one of the recipe's name is gone on with.
        runtime: the device.
    """

    folders: Folders
    catalog: ModelCatalog
    embeddings: EmbeddingCatalog
    runtime: Runtime

    def check(self, recipe: FineTuneRecipe, *, is_new: bool = True, memory: bool = True) -> PictureSet:
        """Look for everything that would make a run fail, without loading a model.

        Args:
            recipe: what is to be done.
            is_new: whether the name must be free.
            memory: whether the memory that is free now matters.

        Raises:
            NotFoundError: there is no such checkpoint.
            TrainingError: the pictures, the kind of model, the memory or the names are not right.
        """
        if is_new:
            self._check_name(recipe)
        found = read_pictures(recipe.data, recipe.word)
        file = self._file(recipe)
        detected = detect_checkpoint(file)
        _check_family(detected.family, file.name)
        if memory:
            self._check_memory(recipe, detected)
        return found

    def _check_memory(self, recipe: FineTuneRecipe, detected: DetectedModel) -> None:
        resolution = recipe.data.resolution or detected.family.native_size
        need = foresee(detected, recipe, resolution=resolution, half=self._half(recipe))
        free = free_memory(self.runtime.device)
        if need.total > free:
            raise TrainingError(
                f"Too little memory: about {need.total / _GIB:.1f} GiB are needed, {free / _GIB:.1f} GiB are "
                "free. Switch gradient checkpointing on, or choose a smaller batch, resolution or rank."
            )

    def open(self, recipe: FineTuneRecipe, folder: Path) -> FineTuning:
        """Load the model and make the run ready; it goes on where ``folder`` has a state of it.

        Raises:
            NotFoundError, TrainingError: see :meth:`check`.
            CheckpointError, AdapterError: a file cannot be used.
        """
        pictures = self.check(recipe, is_new=not is_begun(folder))
        model = self._load(recipe)
        trainee = self._trainee(recipe, model)
        result = self._result_folder(recipe) / f"{recipe.name}{trainee.suffix}"
        return FineTuning(recipe, pictures, model, trainee, folder=folder, result=result)

    def with_checkpoint(self, recipe: FineTuneRecipe) -> FineTuneRecipe:
        """The recipe with the checkpoint that it means, so that it means the same one whenever it goes on.

        Raises:
            NotFoundError, TrainingError: there is none.
        """
        return recipe.model_copy(update={"checkpoint": self._file(recipe).title})

    def fitting_preset(self, checkpoint: str | None) -> str:
        """The preset for a checkpoint on this device; of one that cannot be used, the first of all."""
        try:
            found = self.catalog.find_checkpoint(checkpoint) if checkpoint else self.catalog.checkpoints()[0]
            return fitting_preset(detect_checkpoint(found), free_memory(self.runtime.device))
        except (WebuiError, IndexError):
            return next(iter(PRESETS))

    def result_path(self, recipe: FineTuneRecipe) -> Path | None:
        """The file that a recipe has made; None where there is none yet."""
        found = sorted(path for path in self._result_folder(recipe).glob("*") if path.stem == recipe.name)
        return found[0] if found else None

    def _check_name(self, recipe: FineTuneRecipe) -> None:
        goes_on = recipe.kind == "textual-inversion" and recipe.embedding.go_on
        taken = self.result_path(recipe)
        if taken is not None and not recipe.replace and not goes_on:
            raise TrainingError(
                f"There is a file {taken.name} already; choose another name, or say that it may be replaced."
            )

    def _result_folder(self, recipe: FineTuneRecipe) -> Path:
        """Where the finished file goes, so that prompts find it."""
        if recipe.makes_lora:
            return self.folders.models / "Lora"
        if recipe.makes_checkpoint:
            return self.folders.models / "Stable-diffusion"
        if recipe.kind == "hypernetwork":
            return self.folders.models / "hypernetworks"
        return self.folders.embeddings

    def _file(self, recipe: FineTuneRecipe) -> CheckpointFile:
        if recipe.checkpoint:
            return self.catalog.find_checkpoint(recipe.checkpoint, field="checkpoint")
        files = self.catalog.checkpoints()
        if not files:
            raise TrainingError("There is no checkpoint to train; put one into models/Stable-diffusion.")
        return files[0]

    def _half(self, recipe: FineTuneRecipe) -> bool:
        wanted = recipe.optimisation.bfloat16
        return self.runtime.device.type != "cpu" and wanted is not False

    def _load(self, recipe: FineTuneRecipe) -> LoadedModel:
        """A model of its own: 16 bits where its weights stay as they are, on a GPU."""
        half = self._half(recipe) and not recipe.makes_checkpoint
        runtime = replace(
            self.runtime,
            dtype=torch.bfloat16 if half else torch.float32,
            vae_dtype=torch.float32,
            residency="all",
        )
        file = self._file(recipe)
        return load_model(file, self.catalog.resolve_vae(file), runtime)

    def _trainee(self, recipe: FineTuneRecipe, model: LoadedModel) -> Trainee:
        learning = recipe.optimisation
        if recipe.makes_lora:
            return LoraTrainee(model, recipe.lora, learning, learning.seed)
        if recipe.makes_checkpoint:
            return WholeTrainee(model, learning, text_encoder=recipe.lora.text_encoder)
        if recipe.kind == "hypernetwork":
            tree = self._hypernetwork_tree(recipe.hypernetwork.start_from)
            return HypernetworkTrainee(
                model, recipe.name, recipe.hypernetwork, learning, seed=learning.seed, tree=tree
            )
        return WordTrainee(model, recipe.name, recipe.embedding, learning, self._known_vectors(recipe))

    def _known_vectors(self, recipe: FineTuneRecipe) -> dict[str, Tensor] | None:
        """Vectors of an embedding of that name, where one was made before."""
        if not recipe.embedding.go_on or recipe.name not in self.embeddings.names():
            return None
        return dict(self.embeddings.get(recipe.name).content.vectors)

    def _hypernetwork_tree(self, name: str | None) -> dict[object, object] | None:
        if name is None:
            return None
        path = self.folders.models / "hypernetworks" / f"{name}.pt"
        if not path.is_file():
            raise TrainingError(f"There is no hypernetwork {name!r} in {path.parent}.")
        tree = self.catalog.store.gate.tree(path)
        if not isinstance(tree, dict):
            raise TrainingError(f"{path.name} holds no hypernetwork.")
        return tree


def _check_family(family: Family, name: str) -> None:
    if family.extra_channels != "none" or family.is_refiner:
        raise TrainingError(
            f"{name} is a model of the kind {family.label}, which cannot be trained here; choose a plain "
            "Stable Diffusion 1, 2 or XL checkpoint."
        )
