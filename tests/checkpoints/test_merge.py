import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from modules.checkpoints.files import CheckpointFile, VaeFile
from modules.checkpoints.loader import detect_checkpoint
from modules.checkpoints.merge import MergeRecipe, default_name, merge_checkpoints
from modules.exceptions import CheckpointError, RequestError
from tests.checkpoints.tiny import checkpoint_file, state_dict, write

CONVOLUTION = "model.diffusion_model.input_blocks.0.0.weight"
OUT = "model.diffusion_model.out.2.weight"
VAE_OUT = "first_stage_model.decoder.conv_out.weight"


@pytest.fixture
def models(tmp_path: Path) -> dict[str, CheckpointFile]:
    """A, B and C of one family."""
    return {
        name: checkpoint_file(write(tmp_path / "in" / f"{name}.safetensors", state_dict("sd1", seed)))
        for seed, name in enumerate("abc")
    }


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def test_a_weighted_sum_is_the_sum_of_its_parts(models: dict[str, CheckpointFile], tmp_path: Path) -> None:
    a, b = read(models["a"].path)[0], read(models["b"].path)[0]
    path = merge_checkpoints(MergeRecipe(models["a"], models["b"], multiplier=0.25), tmp_path)
    merged, _ = read(path)
    assert path.name == "0.75(a) + 0.25(b).safetensors"
    assert merged.keys() == a.keys()
    for name, tensor in merged.items():
        expected = 0.75 * a[name] + 0.25 * b[name] if "model" in name else a[name]
        torch.testing.assert_close(tensor, expected)
    detect_checkpoint(checkpoint_file(path))  # and it is a model


def test_add_difference_adds_what_b_has_and_c_lacks(
    models: dict[str, CheckpointFile], tmp_path: Path
) -> None:
    recipe = MergeRecipe(models["a"], models["b"], models["c"], method="Add difference", multiplier=0.5)
    merged, _ = read(merge_checkpoints(recipe, tmp_path))
    a, b, c = (read(models[name].path)[0] for name in "abc")
    torch.testing.assert_close(merged[OUT], a[OUT] + 0.5 * (b[OUT] - c[OUT]))
    assert default_name(recipe) == "a + 0.5(b - c)"


def test_no_interpolation_converts_bakes_and_discards(
    models: dict[str, CheckpointFile], tmp_path: Path
) -> None:
    vae = VaeFile(models["b"].path, models["b"].store)
    recipe = MergeRecipe(
        models["a"], method="No interpolation", half=True, vae=vae, discard=r"^cond_stage_model", name="mine"
    )
    path = merge_checkpoints(recipe, tmp_path)
    merged, _ = read(path)
    a, b = read(models["a"].path)[0], read(models["b"].path)[0]
    assert path.name == "mine.safetensors"
    assert not any(name.startswith("cond_stage_model") for name in merged)
    assert {tensor.dtype for tensor in merged.values()} == {torch.float16}
    assert torch.equal(merged[VAE_OUT], b[VAE_OUT].half())
    assert torch.equal(merged[OUT], a[OUT].half())


def test_an_inpainting_model_merges_its_first_four_channels(
    models: dict[str, CheckpointFile], tmp_path: Path
) -> None:
    state = state_dict("sd1", 7)
    wide = torch.randn(state[CONVOLUTION].shape[0], 9, 3, 3)
    inpainting = checkpoint_file(write(tmp_path / "in/i.safetensors", state | {CONVOLUTION: wide}))
    path = merge_checkpoints(MergeRecipe(inpainting, models["b"], multiplier=0.5), tmp_path)
    merged, _ = read(path)
    b = read(models["b"].path)[0]
    assert path.name.endswith(".inpainting.safetensors")
    torch.testing.assert_close(merged[CONVOLUTION][:, :4], 0.5 * wide[:, :4] + 0.5 * b[CONVOLUTION])
    assert torch.equal(merged[CONVOLUTION][:, 4:], wide[:, 4:])
    with pytest.raises(CheckpointError, match="primary model"):
        merge_checkpoints(MergeRecipe(models["b"], inpainting), tmp_path)


def test_models_of_different_families_are_refused_and_leave_nothing(
    models: dict[str, CheckpointFile], tmp_path: Path
) -> None:
    other = checkpoint_file(write(tmp_path / "in/x.safetensors", state_dict("sd2")))
    with pytest.raises(CheckpointError, match="different families"):
        merge_checkpoints(MergeRecipe(models["a"], other), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_the_recipe_is_in_the_metadata(models: dict[str, CheckpointFile], tmp_path: Path) -> None:
    once = checkpoint_file(merge_checkpoints(MergeRecipe(models["a"], models["b"]), tmp_path))
    _, metadata = read(
        merge_checkpoints(MergeRecipe(once, models["c"], extra_metadata={"note": "mine"}), tmp_path)
    )
    recipe, merged = json.loads(metadata["sd_merge_recipe"]), json.loads(metadata["sd_merge_models"])
    assert recipe["primary_model_hash"] == once.sha256
    assert (recipe["interp_method"], recipe["multiplier"]) == ("Weighted sum", 0.3)
    assert set(merged) == {file.sha256 for file in (models["a"], models["b"], models["c"], once)}
    assert merged[once.sha256]["sd_merge_recipe"]["multiplier"] == 0.3
    assert metadata["note"] == "mine"


def test_an_existing_file_is_kept(models: dict[str, CheckpointFile], tmp_path: Path) -> None:
    recipe = MergeRecipe(models["a"], models["b"], name="same", save_metadata=False)
    first, second = merge_checkpoints(recipe, tmp_path), merge_checkpoints(recipe, tmp_path)
    assert (first.name, second.name) == ("same.safetensors", "same (2).safetensors")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"method": "Add difference"}, "tertiary_model_name"),
        ({"secondary": None}, "secondary_model_name"),
        ({"multiplier": 2.0}, "interp_amount"),
        ({"discard": "("}, "discard_weights"),
        ({"name": "../escape"}, "custom_name"),
    ],
)
def test_a_recipe_that_cannot_be_followed_names_its_field(
    models: dict[str, CheckpointFile], tmp_path: Path, change: dict[str, object], field: str
) -> None:
    values: dict[str, object] = {"primary": models["a"], "secondary": models["b"], **change}
    with pytest.raises(RequestError) as refused:
        merge_checkpoints(MergeRecipe(**values), tmp_path)  # type: ignore[arg-type]
    assert refused.value.field == field
