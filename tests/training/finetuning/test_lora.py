import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from modules.adapters.module_names import layers_by_name
from modules.adapters.network_catalog import NetworkCatalog
from modules.adapters.patches import Patch, apply_patches
from modules.checkpoints.files import ModelStore
from modules.checkpoints.model import LoadedModel
from modules.training.finetuning.lora import LoraTrainee
from modules.training.finetuning.recipe import DataChoice, FineTuneRecipe, LoraShape, Optimisation
from modules.training.finetuning.texts import CaptionEncoder, vector_of
from modules.training.finetuning.trainee import RunFacts
from tests.adapters.tiny_models import tiny_sd1, tiny_sd2, tiny_sdxl

MODELS = [tiny_sd1, tiny_sd2, tiny_sdxl]
RECIPE = FineTuneRecipe(kind="lora", name="zorblax", data=DataChoice(folder="pictures", trigger="zorblax"))
FACTS = RunFacts(RECIPE, 7, [0.5] * 7, 2, 2, ["a hat, red", "a hat"], 64, 0.0)


def _random(model: LoadedModel, shape: LoraShape) -> LoraTrainee:
    trainee = LoraTrainee(model, shape, Optimisation(), seed=3)
    with torch.no_grad():
        for name, parameter in trainee.network.named_parameters():
            if "lora_up" in name:  # zero in a new one; rounded, as the file will have it
                parameter.copy_((torch.randn_like(parameter) * 0.05).half())
            else:
                parameter.copy_(parameter.half())
    return trainee


@torch.no_grad()
def _answer(model: LoadedModel) -> tuple[Tensor, Tensor]:
    context, pooled = CaptionEncoder(model, changes=True).encode(["a red hat"])
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    vector = vector_of(pooled, [(64, 64, 0, 0, 64, 64)])
    return context, model.predict(x, torch.tensor([400.0]), context, vector)


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("conv_rank", [0, 2])
def test_the_file_does_what_was_trained(
    make: Callable[[], LoadedModel], conv_rank: int, tmp_path: Path
) -> None:
    model = make()
    plain = _answer(model)
    trainee = _random(model, LoraShape(rank=4, alpha=2, conv_rank=conv_rank))
    trained = _answer(model)
    trainee.write(tmp_path / "x.safetensors", FACTS)
    trainee.detach()
    assert all(torch.equal(one, two) for one, two in zip(_answer(model), plain, strict=True))
    assert apply_patches(model, (Patch("x", tmp_path / "x.safetensors"),)) == ()
    patched = _answer(model)
    for one, two, before in zip(patched, trained, plain, strict=True):
        assert torch.allclose(one, two, atol=2e-4)
        assert not torch.allclose(one, before, atol=1e-2)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (
            tiny_sd1,
            (
                "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
                "lora_te_text_model_encoder_layers_0_mlp_fc1",
            ),
        ),
        (
            tiny_sd2,
            (
                "lora_unet_up_blocks_1_attentions_0_proj_in",
                "lora_te_text_model_encoder_layers_2_self_attn_v_proj",
            ),
        ),
        (
            tiny_sdxl,
            (
                "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k",
                "lora_te1_text_model_encoder_layers_0_self_attn_out_proj",
                "lora_te2_text_model_encoder_layers_0_self_attn_q_proj",
            ),
        ),
    ],
)
def test_names_and_shapes_are_those_of_kohyas_trainer(
    make: Callable[[], LoadedModel], names: tuple[str, ...], tmp_path: Path
) -> None:
    model = make()
    trainee = LoraTrainee(model, LoraShape(rank=3), Optimisation(), seed=0)
    assert set(trainee.network) <= set(layers_by_name(model))
    state = trainee.network.state_dict()
    for name in names:
        assert state[f"{name}.lora_down.weight"].shape[0] == 3
        assert state[f"{name}.lora_up.weight"].shape[1] == 3
        assert float(state[f"{name}.alpha"]) == 3
    trainee.detach()


def test_without_the_text_encoder_only_the_unet_is_changed() -> None:
    model = tiny_sd1()
    trainee = LoraTrainee(model, LoraShape(rank=2, text_encoder=False), Optimisation(), seed=0)
    assert not trainee.changes_text
    assert all(name.startswith("lora_unet_") for name in trainee.network)
    (_, rate), (text, _) = trainee.groups()
    assert (rate, text) == (1e-4, [])


def test_a_new_lora_changes_nothing_and_is_the_same_for_the_same_seed() -> None:
    model = tiny_sdxl()
    plain = _answer(model)
    trainee = LoraTrainee(model, LoraShape(rank=2), Optimisation(), seed=5)
    assert all(torch.equal(one, two) for one, two in zip(_answer(model), plain, strict=True))
    trainee.detach()
    again = LoraTrainee(model, LoraShape(rank=2), Optimisation(), seed=5)
    for name, tensor in trainee.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name])


def test_the_metadata_says_what_other_programs_look_for(tmp_path: Path) -> None:
    model = tiny_sd2()
    shape = LoraShape(rank=4, alpha=1, conv_rank=2)
    trainee = LoraTrainee(model, shape, Optimisation(), seed=0)
    path = tmp_path / "zorblax.safetensors"
    trainee.write(path, replace(FACTS, recipe=RECIPE.model_copy(update={"lora": shape})))
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["ss_network_module"] == "networks.lora"
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == ("4", "1.0")
    assert json.loads(metadata["ss_network_args"]) == {"conv_dim": 2, "conv_alpha": 2}
    assert (metadata["ss_v2"], metadata["ss_base_model_version"]) == ("True", "sd_v2")
    assert json.loads(metadata["ss_tag_frequency"]) == {"zorblax": {"a hat": 2, "red": 1}}
    store = ModelStore.below(tmp_path / "cache")
    found = NetworkCatalog((tmp_path,), (), store).find_lora("zorblax")
    assert (found.alias, found.version) == ("zorblax", "sd2")
    assert metadata["sshs_model_hash"] == store.hashes.addnet(path)
