"""A LoRA's file, read by diffusers' own loader into diffusers' own network, gives the same numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel as TheirUNet
from diffusers.loaders import StableDiffusionLoraLoaderMixin, StableDiffusionXLLoraLoaderMixin
from torch import Tensor, nn

from modules.adapters.patches import Patch, apply_patches
from modules.checkpoints.model import LoadedModel
from modules.families.diffusers_names import translate, unet_layout, unet_modules
from modules.families.sd1 import SD1
from modules.families.sdxl import SDXL
from modules.training.finetuning.lora import LoraTrainee
from modules.training.finetuning.recipe import LoraShape, Optimisation
from tests.adapters.tiny_models import tiny_model
from tests.networks.test_parity import UNETS
from tests.training.finetuning.test_lora import FACTS

SDXL_VECTOR = 24 + 6 * 256


def _model(family: str) -> tuple[LoadedModel, Any]:
    """Equal networks of ours and of diffusers'."""
    config, options = UNETS[family]
    if family == "sdxl":
        config = replace(config, context_dim=40, adm_channels=SDXL_VECTOR)
        sizes = {"projection_class_embeddings_input_dim": SDXL_VECTOR, "addition_time_embed_dim": 256}
        options = {**options, "cross_attention_dim": 40, **sizes}
    else:
        config = replace(config, model_channels=32, context_dim=16)
        options = {**options, "cross_attention_dim": 16, "block_out_channels": (32, 64, 128, 128)}
    model = tiny_model(SDXL if family == "sdxl" else SD1, config)
    theirs = TheirUNet(**options).eval()
    shapes = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    modules = unet_modules(unet_layout(shapes))
    ours = model.unet.state_dict()
    theirs.load_state_dict({name: ours[str(translate(name, modules))] for name in shapes})
    return model, theirs


def _add(network: nn.Module, state: dict[str, Tensor], alphas: dict[str, float]) -> int:
    """Put what the loader returned on the network's weights; returns how many layers were changed."""
    changed = 0
    for key, down in state.items():
        if not key.startswith("unet.") or ".down." not in key:
            continue
        up = state[key.replace(".down.", ".up.")]
        path = key.removeprefix("unet.").replace(".processor.", ".").replace("_lora.", ".lora.")
        place = path.partition(".lora.")[0]
        layer = network.get_submodule(f"{place}.0" if place.endswith(".to_out") else place)
        alpha = alphas[f"{key.partition('.lora.')[0]}.alpha"]
        change = (up.flatten(1).float() @ down.flatten(1).float()) * (alpha / len(down))
        weight = layer.weight
        assert isinstance(weight, nn.Parameter)
        weight.data += change.reshape(weight.shape)
        changed += 1
    return changed


@torch.no_grad()
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_the_file_has_the_same_effect_in_diffusers(family: str, tmp_path: Path) -> None:
    model, theirs = _model(family)
    trainee = LoraTrainee(model, LoraShape(rank=4, alpha=2), Optimisation(), seed=1)
    for name, parameter in trainee.network.named_parameters():
        if "lora_up" in name:
            parameter.copy_(torch.randn_like(parameter) * 0.1)
    path = tmp_path / "x.safetensors"
    trainee.write(path, FACTS)
    layers = sum(name.startswith("lora_unet_") for name, _ in trainee.network.named_children())
    trainee.detach()
    loader = StableDiffusionXLLoraLoaderMixin if family == "sdxl" else StableDiffusionLoraLoaderMixin
    state, alphas = loader.lora_state_dict(str(path), unet_config=theirs.config)[:2]
    x, context = torch.randn(1, 4, 16, 16), torch.randn(1, 77, model.unet.config.context_dim)
    timesteps, pooled, sizes = (
        torch.tensor([300.0]),
        torch.randn(1, 24),
        torch.tensor([[64.0, 64, 0, 0, 64, 64]]),
    )
    conditions, vector = None, None
    if family == "sdxl":
        conditions = {"text_embeds": pooled, "time_ids": sizes}
        vector = torch.cat([pooled, theirs.add_time_proj(sizes.flatten()).reshape(1, -1)], dim=1)
    before = model.predict(x, timesteps, context, vector)
    assert _add(theirs, state, alphas) == layers
    assert apply_patches(model, (Patch("x", path),)) == ()
    ours = model.predict(x, timesteps, context, vector)
    expected = theirs(x, timesteps, context, added_cond_kwargs=conditions).sample
    assert float((ours - expected).norm() / expected.norm()) < 1e-4
    assert float((ours - before).norm() / before.norm()) > 0.05
