from pathlib import Path

import pytest

from modules.checkpoints.reader import read_header
from modules.cli import ROOT, main
from modules.commands.train import recipe_of, train_parser
from modules.exceptions import TrainingError
from modules.training.finetuning.recipe import FineTuneRecipe
from tests.training.finetuning.folders import subject


def _recipe(*words: str) -> FineTuneRecipe:
    return recipe_of(train_parser(lambda _: None).parse_args(words), None)


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("{name: fox, data: {folder: foxes, trigger: fx}, optimisation: {batch: 3, steps: 9}}")
    words = ("--config", str(path), "--preset", "SDXL, 24 GB", "--steps", "7", "--no-text-encoder")
    recipe = _recipe("lora", *words)
    learning = recipe.optimisation
    assert (learning.steps, learning.batch, learning.checkpointing) == (7, 3, True)
    assert (recipe.name, recipe.data.trigger, recipe.lora.text_encoder) == ("fox", "fx", False)


def test_a_class_is_preserved_only_when_asked_for() -> None:
    words = ("dreambooth", "--name", "fox", "--data", "x")
    assert _recipe(*words).prior is None
    prior = _recipe(*words, "--class-prompt", "a fox").prior
    assert prior is not None
    assert (prior.prompt, prior.pictures) == ("a fox", 100)


def test_a_recipe_without_pictures_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"data\.folder"):
        _recipe("lora", "--name", "fox")


def test_a_lora_is_trained_from_the_command_line_and_a_mistake_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    models = tmp_path / "models"
    (models / "Stable-diffusion").mkdir(parents=True)
    (models / "Stable-diffusion" / "embedded.safetensors").symlink_to(
        ROOT / "models" / "Stable-diffusion" / "embedded.safetensors"
    )
    words = ["train", "lora", "--data-dir", str(tmp_path), "--data", str(subject(tmp_path / "pictures", 1))]
    words += ["--name", "fox", "--steps", "1", "--resolution", "64", "--rank", "2", "--no-hashing"]
    assert main([*words, "--device", "cpu"]) == 0
    path = models / "Lora" / "fox.safetensors"
    assert capsys.readouterr().out == f"{path}\n"
    header = read_header(path)
    assert header.metadata["ss_output_name"] == "fox"
    assert any(name.startswith("lora_te_") for name in header.tensors)
    assert main([*words, "--data", str(tmp_path / "gone")]) == 1
    assert "no folder" in caplog.text
