from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.exceptions import TrainingError
from modules.training.finetuning.hypernet import HypernetworkTrainee
from modules.training.finetuning.latents import EncodedPicture, settled
from modules.training.finetuning.lora import LoraTrainee
from modules.training.finetuning.pictures import read_pictures
from modules.training.finetuning.recipe import FineTuneRecipe, checked_recipe
from modules.training.finetuning.session import FineTuning, Progress
from modules.training.finetuning.trainee import Trainee
from modules.training.finetuning.whole import WholeTrainee
from modules.training.finetuning.word import WordTrainee
from tests.adapters.tiny_models import tiny_sd1, tiny_sd2, tiny_sdxl
from tests.training.finetuning.folders import draw, subject

Make = Callable[[], LoadedModel]


def _recipe(folder: Path, kind: str = "lora", **changes: object) -> FineTuneRecipe:
    content: dict[str, object] = {
        "kind": kind,
        "name": "zorblax",
        "data": {"folder": str(folder), "resolution": 32, "bucket_step": 16, "caption_dropout": 0.2},
        "lora": {"rank": 2},
        "embedding": {"vectors": 2},
        "hypernetwork": {"dropout": 0.3, "layer_norm": True, "activation": "relu"},
        "optimisation": {"steps": 6, "batch": 2, "learning_rate": 1e-3, "noise_offset": 0.1},
        "samples": {"steps": 2},
        **changes,
    }
    return checked_recipe(content)


def trainee_of(recipe: FineTuneRecipe, model: LoadedModel) -> Trainee:
    """What a recipe trains, on a model in memory."""
    learning = recipe.optimisation
    if recipe.makes_lora:
        return LoraTrainee(model, recipe.lora, learning, 0)
    if recipe.makes_checkpoint:
        return WholeTrainee(model, learning, text_encoder=True)
    if recipe.kind == "hypernetwork":
        return HypernetworkTrainee(model, "zorblax", recipe.hypernetwork, learning)
    return WordTrainee(model, "zorblax", recipe.embedding, learning)


def _run(recipe: FineTuneRecipe, folder: Path, make: Make = tiny_sd1) -> FineTuning:
    model = make()
    trainee = trainee_of(recipe, model)
    found = read_pictures(recipe.data, recipe.word)
    result = folder / f"zorblax{trainee.suffix}"
    run = FineTuning(recipe, found, model, trainee, folder=folder / "run", result=result)
    if recipe.makes_checkpoint:
        trainee.write = lambda path, facts: path.touch()  # type: ignore[method-assign]  # needs a real file
    return run


def _train(run: FineTuning, steps: int | None = None) -> list[Progress]:
    made = []
    for progress in run.updates():
        made.append(progress)
        if steps is not None and progress.step == steps:
            run.trainer.save()
            break
    return made


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _weights(run: FineTuning) -> dict[str, Tensor]:
    return run.trainer.network.state_dict()


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("lora", tiny_sd1),
        ("lora", tiny_sd2),
        ("lora", tiny_sdxl),
        ("textual-inversion", tiny_sd1),
        ("textual-inversion", tiny_sdxl),
        ("hypernetwork", tiny_sd1),
        ("dreambooth", tiny_sd1),
    ],
)
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path: Path, kind: str, make: Make) -> None:
    recipe = _recipe(subject(tmp_path / "pictures"), kind, result="checkpoint")
    whole = _run(recipe, tmp_path / "whole", make)
    before = {name: tensor.clone() for name, tensor in _weights(whole).items()}
    _train(whole)
    _train(_run(recipe, tmp_path / "parts", make), steps=3)
    again = _run(recipe, tmp_path / "parts", make)
    _train(again)
    assert again.trainer.losses == whole.trainer.losses
    assert len(whole.trainer.losses) == 6
    changed = 0
    for name, tensor in _weights(whole).items():
        assert torch.equal(tensor, _weights(again)[name]), name
        changed += not torch.equal(tensor, before[name])
    assert changed
    assert whole.result.is_file()


def test_a_run_goes_on_from_any_state_that_was_kept(tmp_path: Path) -> None:
    recipe = _recipe(subject(tmp_path / "pictures"), save_every=2)
    whole = _run(recipe, tmp_path)
    _train(whole)
    for step in (2, 4):
        again = _run(recipe, tmp_path)
        assert [progress.step for progress in again.updates(step)] == list(range(step + 1, 7))
        for name, tensor in _weights(whole).items():
            assert torch.equal(tensor, _weights(again)[name]), name
    names = {path.name for path in (tmp_path / "run" / "results").iterdir()}
    assert names == {f"zorblax-{step:06d}.safetensors" for step in (2, 4, 6)}
    with pytest.raises(TrainingError, match="step 3"):
        next(_run(recipe, tmp_path).updates(3))


@pytest.mark.parametrize("kind", ["lora", "hypernetwork"])
def test_training_learns(tmp_path: Path, kind: str) -> None:
    optimisation = {"steps": 24, "batch": 4, "learning_rate": 3e-2, "snr_gamma": 0}
    pictures = tmp_path / "pictures"
    draw(pictures / "a thing.png", (32, 32))
    choice = {"folder": str(pictures), "resolution": 32, "caption_dropout": 0, "repeats": 4}
    run = _run(_recipe(pictures, kind, optimisation=optimisation, data=choice), tmp_path)
    _train(run)
    losses = run.trainer.losses
    assert sum(losses[-6:]) < 0.95 * sum(losses[:6])


def test_checkpointing_changes_no_loss(tmp_path: Path) -> None:
    folder = subject(tmp_path / "pictures")
    learning = {"steps": 2, "batch": 1, "learning_rate": 1e-3}
    plain = _run(_recipe(folder, optimisation=learning), tmp_path / "plain", tiny_sdxl)
    _train(plain)
    twice = _run(
        _recipe(folder, optimisation={**learning, "checkpointing": True}), tmp_path / "twice", tiny_sdxl
    )
    _train(twice)
    assert twice.trainer.losses == pytest.approx(plain.trainer.losses, rel=1e-5)


def test_the_class_is_drawn_once_and_adds_its_loss(tmp_path: Path) -> None:
    prior = {"prompt": "a thing", "pictures": 2, "weight": 1.0}
    recipe = _recipe(subject(tmp_path / "pictures"), "dreambooth", prior=prior)
    run = _run(recipe, tmp_path)
    told = [progress.text for progress in _train(run, steps=2)]
    assert "Drawing pictures of the class: 2 of 2" in told
    drawn = sorted((tmp_path / "run" / "class").glob("*.png"))
    assert [_size(path) for path in drawn] == [(32, 32), (32, 32)]
    without = _run(_recipe(tmp_path / "pictures", "dreambooth"), tmp_path / "plain")
    _train(without, steps=2)
    assert run.trainer.losses[0] > without.trainer.losses[0]
    again = [progress.text for progress in _run(recipe, tmp_path).updates()]
    assert not any("Drawing" in text for text in again)


def test_latents_are_computed_once(tmp_path: Path) -> None:
    recipe = _recipe(subject(tmp_path / "pictures"))
    assert _train(_run(recipe, tmp_path), steps=1)[0].text == "Reading pictures: 1 of 3"
    assert _train(_run(recipe, tmp_path), steps=2)[0].text == ""
    draw(tmp_path / "pictures" / "0.png", (48, 48), seed=99)
    assert "Reading" in _train(_run(recipe, tmp_path), steps=3)[0].text


def test_only_what_a_mask_shows_is_learnt(tmp_path: Path) -> None:
    folder = subject(tmp_path / "pictures", 1)
    half = Image.new("L", (48, 48), 0)
    half.paste(255, (0, 0, 24, 48))
    losses = []
    for number, mask in enumerate((None, Image.new("L", (48, 48), 255), half)):
        if mask is not None:
            mask.save(folder / "0.mask.png")
        run = _run(_recipe(folder), tmp_path / str(number))
        _train(run, steps=1)
        losses += run.trainer.losses
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[2] != pytest.approx(losses[0], rel=1e-3)
    Image.new("L", (48, 48), 0).save(folder / "0.mask.png")
    with pytest.raises(TrainingError, match=r"mask of 0\.png is black"):
        _train(_run(_recipe(folder), tmp_path / "black"))


def test_a_broken_loss_keeps_the_last_good_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = _recipe(subject(tmp_path / "pictures"))
    _train(_run(recipe, tmp_path), steps=3)
    saved = (tmp_path / "run" / "state.pt").read_bytes()
    run = _run(recipe, tmp_path)
    monkeypatch.setattr(run, "_loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(TrainingError, match="loss became nan at step 3"):
        _train(run)
    assert (tmp_path / "run" / "state.pt").read_bytes() == saved


def test_samples_and_the_loss_curve_are_pictures(tmp_path: Path) -> None:
    samples = {"prompts": ["[name] in the snow", "a hat"], "every": 3, "steps": 2, "cfg_scale": 2}
    recipe = _recipe(
        subject(tmp_path / "pictures"), samples=samples, optimisation={"steps": 6, "ema_decay": 0.9}
    )
    made = [progress.sample for progress in _train(_run(recipe, tmp_path)) if progress.sample]
    assert [path.name for path in made] == ["000003.png", "000006.png"]
    assert _size(made[0]) == (64, 32)
    assert _size(tmp_path / "run" / "loss.png") == (640, 280)
    lines = (tmp_path / "run" / "loss.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("step,loss", 7)


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    folder = subject(tmp_path / "pictures")
    _run(_recipe(folder), tmp_path)
    with pytest.raises(TrainingError, match="other settings"):
        _run(_recipe(folder, lora={"rank": 3}), tmp_path)


def test_pictures_whose_caption_is_too_long_are_mentioned(tmp_path: Path) -> None:
    folder = subject(tmp_path / "pictures", 1)
    (folder / "0.txt").write_text("cat " * 300, encoding="utf-8")
    assert _run(_recipe(folder), tmp_path).notes == (
        "1 captions are longer than 225 tokens; their ends are not learnt.",
    )


@pytest.mark.parametrize(
    ("rates", "said"), [("1e-3:2, 1e-4:4", "end at step 4, before the last of 6"), ("x", "no learning rate")]
)
def test_rates_that_cannot_be_used_are_refused(tmp_path: Path, rates: str, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        _recipe(subject(tmp_path), optimisation={"steps": 6, "rates": rates})


def test_rates_change_at_their_steps(tmp_path: Path) -> None:
    learning = {"steps": 3, "rates": "1e-3:1, 1e-4", "learning_rate": 0.5, "schedule": "cosine"}
    run = _run(_recipe(subject(tmp_path / "set"), optimisation=learning), tmp_path)
    groups = run.trainer._optimisers[0].param_groups
    seen = [groups[0]["lr"] for progress in run.updates() if not progress.text]
    assert seen == pytest.approx([1e-3, 1e-4, 1e-4])


def test_latents_may_be_drawn_once_or_be_the_means() -> None:
    mean, std = torch.zeros(4, 2, 2), torch.ones(4, 2, 2)
    pictures = [EncodedPicture("", 1, mean, std, None, (16, 16, 0, 0, 16, 16))] * 2
    assert settled(pictures, "random", 0) == tuple(pictures)
    for item in settled(pictures, "deterministic", 0):
        assert torch.equal(item.mean, mean)
        assert not item.std.any()
    first, second = settled(pictures, "once", 0)
    assert not torch.equal(first.mean, second.mean)
    assert torch.equal(first.mean, settled(pictures, "once", 0)[0].mean)
    assert not first.std.any()
