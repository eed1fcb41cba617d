from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import nn

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.loader import detect_checkpoint, load_model
from modules.exceptions import NotFoundError, TrainingError
from modules.families.sd1 import SD1_INPAINT
from modules.runtime.device import Runtime
from modules.settings.launch import Folders
from modules.training.finetuning import opening
from modules.training.finetuning.memory import foresee
from modules.training.finetuning.opening import TrainingRoom
from modules.training.finetuning.presets import PRESETS, fitting_preset, merged, preset_values
from modules.training.finetuning.recipe import FineTuneRecipe, checked_recipe
from modules.training.finetuning.trainee import RunFacts
from modules.training.finetuning.whole import WholeTrainee
from tests.checkpoints.tiny import checkpoint_file, state_dict, write
from tests.training.finetuning.folders import subject


@pytest.fixture
def room(tmp_path: Path) -> TrainingRoom:
    folders = Folders.below(tmp_path)
    write(folders.models / "Stable-diffusion" / "tiny.safetensors", state_dict("sd1"), {"author": "nobody"})
    catalog = ModelCatalog(folders)
    embeddings = EmbeddingCatalog((folders.embeddings,), catalog.store)
    return TrainingRoom(folders, catalog, embeddings, Runtime(torch.device("cpu")))


def _recipe(room: TrainingRoom, **changes: object) -> FineTuneRecipe:
    folder = subject(room.folders.data / "pictures")
    content = {"kind": "lora", "name": "fox", "data": {"folder": str(folder), "resolution": 64}, **changes}
    return checked_recipe(content)


def test_what_is_right_is_not_refused(room: TrainingRoom) -> None:
    assert len(room.check(_recipe(room)).pictures) == 3


def test_a_missing_checkpoint_is_named(room: TrainingRoom) -> None:
    with pytest.raises(NotFoundError, match="no checkpoint 'gone'"):
        room.check(_recipe(room, checkpoint="gone"))


def test_a_model_of_a_kind_that_cannot_be_trained_is_refused(
    room: TrainingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    detected = detect_checkpoint(room.catalog.checkpoints()[0])
    monkeypatch.setattr(opening, "detect_checkpoint", lambda _: replace(detected, family=SD1_INPAINT))
    with pytest.raises(TrainingError, match=r"tiny\.safetensors is a model of the kind .* inpainting"):
        room.check(_recipe(room))


def test_too_little_memory_is_said_before_anything_is_loaded(
    room: TrainingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "free_memory", lambda _: 600 * 2**20)
    with pytest.raises(TrainingError, match=r"Too little memory: about .* 0\.6 GiB are free"):
        room.check(_recipe(room))


def test_more_pictures_at_a_time_need_more_memory_and_checkpointing_less(room: TrainingRoom) -> None:
    detected = detect_checkpoint(room.catalog.checkpoints()[0])

    def needed(**learning: object) -> int:
        recipe = _recipe(room, optimisation=learning)
        return foresee(detected, recipe, resolution=256, half=False).total

    assert needed(batch=1) < needed(batch=4)
    assert needed(batch=4, checkpointing=True) < needed(batch=4)


def test_a_recipe_keeps_the_checkpoint_that_it_meant(room: TrainingRoom) -> None:
    assert room.with_checkpoint(_recipe(room)).checkpoint == room.catalog.checkpoints()[0].title


@pytest.mark.parametrize(
    ("channels", "side", "memory", "name"),
    [
        (32, 256, 80, "Embedded model, processor"),
        (320, 512, 8, "SD 1 or 2, 6 GB"),
        (320, 768, 16, "SD 1 or 2, 12 GB"),
        (320, 1024, 16, "SDXL, 12 GB"),
        (320, 1024, 24, "SDXL, 24 GB"),
    ],
)
def test_a_preset_fits_model_and_memory(
    room: TrainingRoom, channels: int, side: int, memory: int, name: str
) -> None:
    detected = detect_checkpoint(room.catalog.checkpoints()[0])
    family = replace(detected.family, native_size=side)
    unet = replace(detected.unet, model_channels=channels)
    assert fitting_preset(replace(detected, family=family, unet=unet), memory * 2**30) == name


def test_a_checkpoint_that_is_gone_has_the_first_preset(room: TrainingRoom) -> None:
    assert room.fitting_preset("gone") == next(iter(PRESETS))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(
    "made",
    [("lora", None), ("textual-inversion", None), ("hypernetwork", None), ("dreambooth", "checkpoint")],
)
def test_every_preset_makes_a_recipe_of_every_kind(name: str, made: tuple[str, str | None]) -> None:
    kind, result = made
    values = preset_values(name, kind, result)
    own = {"kind": kind, "name": "x", "result": result, "data": {"folder": "x"}}
    recipe = checked_recipe(merged(values, own))
    plain = checked_recipe(merged(PRESETS[name], {**own, "kind": "lora"}))
    differs = recipe.optimisation.learning_rate != plain.optimisation.learning_rate
    assert differs == (kind != "lora"), "a LoRA's rate teaches nothing else"


def test_a_file_of_that_name_is_not_replaced_unasked(room: TrainingRoom) -> None:
    there = room.folders.models / "Lora" / "fox.safetensors"
    there.parent.mkdir(parents=True)
    there.touch()
    with pytest.raises(TrainingError, match=r"There is a file fox\.safetensors already"):
        room.check(_recipe(room))
    room.check(_recipe(room, replace=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "a/b"}, "must not hold any of"),
        ({"name": " "}, "a letter or a digit"),
        ({"kind": "hypernetwork", "hypernetwork": {"layers": [1, 2, 3]}}, "the first and the last layer"),
        ({"kind": "hypernetwork", "hypernetwork": {"activation": "magic"}}, "unknown activation 'magic'"),
        ({"optimisation": {"steps": 0}}, "optimisation.steps"),
        ({"optimisation": {"stepps": 3}}, "optimisation.stepps"),
        ({"kind": "textual-inversion", "data": {"folder": "x", "templates": ["a photo"]}}, "[name]"),
    ],
)
def test_an_impossible_recipe_is_refused_by_its_field(
    room: TrainingRoom, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(TrainingError) as refused:
        _recipe(room, **changes)
    assert said in str(refused.value)


def test_a_whole_model_is_written_as_a_checkpoint_with_all_that_it_had(
    room: TrainingRoom, tmp_path: Path
) -> None:
    file = room.catalog.checkpoints()[0]
    model = load_model(file, None, room.runtime)
    recipe = _recipe(room, kind="dreambooth", result="checkpoint")
    trainee = WholeTrainee(model, recipe.optimisation, text_encoder=True)
    with torch.no_grad():
        for parameter in trainee.network.parameters():
            parameter.add_(0.01)
    path = tmp_path / "taught" / "fox.safetensors"
    trainee.write(path, RunFacts(recipe, 3, [], 1, 1, [], 64, 0.0))
    again = load_model(checkpoint_file(path), None, room.runtime)
    texts = [cast("nn.Module", one.text_encoders[0]) for one in (model, again)]
    for network, loaded in ((model.unet, again.unet), texts):
        for name, tensor in network.state_dict().items():
            assert torch.allclose(tensor, loaded.state_dict()[name], atol=2e-3), name
    for name, tensor in model.vae.state_dict().items():
        assert torch.equal(tensor, again.vae.state_dict()[name])
    assert checkpoint_file(path).metadata["author"] == "nobody"
