"""Adapters beside the weights give what adapters in the weights give."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modules.adapters.deltas import Delta
from modules.adapters.functional import attach_change, can_attach
from modules.adapters.patches import apply_patches
from modules.checkpoints.model import LoadedModel
from modules.networks.tiling import set_tiling
from tests.adapters.test_patches import MLP, TO_K, lora, parameters
from tests.adapters.tiny_models import tiny_sd1, tiny_sd2

CONV = "lora_unet_input_blocks_1_0_in_layers_2"
NORM = "lora_unet_input_blocks_1_0_in_layers_0"

LAYERS = {
    "linear": (nn.Linear(6, 4), torch.randn(2, 5, 6)),
    "linear without bias": (nn.Linear(6, 4, bias=False), torch.randn(2, 6)),
    "convolution": (nn.Conv2d(3, 4, 3, padding=1, stride=2), torch.randn(2, 3, 7, 6)),
    "layer norm": (nn.LayerNorm(6), torch.randn(2, 5, 6)),
    "group norm": (nn.GroupNorm(2, 4), torch.randn(2, 4, 3, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("tiled", [False, True])
def test_a_change_beside_a_layer_equals_one_in_it(name: str, tiled: bool) -> None:
    layer, x = LAYERS[name]
    assert can_attach(layer)
    set_tiling(layer, enabled=tiled)
    weight, bias = layer.get_parameter("weight"), getattr(layer, "bias", None)
    change = Delta(torch.randn(weight.shape), 0.7, None if bias is None else torch.randn(bias.shape))
    with torch.no_grad():
        plain = layer(x)
        handle = attach_change(layer, change)
        beside = layer(x)
        handle.remove()
        assert torch.equal(layer(x), plain)
        original = weight.clone(), None if bias is None else bias.clone()
        weight.copy_(change.added_to(weight))
        if bias is not None and change.bias is not None:
            bias.add_(change.bias)
        inside = layer(x)
        weight.copy_(original[0])
        if bias is not None and original[1] is not None:
            bias.copy_(original[1])
    torch.testing.assert_close(beside, inside, rtol=1e-5, atol=1e-5)


def answer(model: LoadedModel) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(1, 4, 8, 8, generator=generator)
    context = torch.randn(1, 77, model.unet.config.context_dim, generator=generator)
    return model.predict(x, torch.tensor([500.0]), context)


def test_a_file_used_beside_the_weights_gives_the_same_picture_and_leaves_them(tmp_path: Path) -> None:
    tensors = {
        f"{TO_K}.lora_up.weight": torch.randn(8, 2),
        f"{TO_K}.lora_down.weight": torch.randn(2, 16),
        f"{CONV}.diff": torch.randn(8, 8, 3, 3) * 0.1,
        f"{NORM}.w_norm": torch.randn(8),
        f"{NORM}.b_norm": torch.randn(8),
        f"{MLP}.diff": torch.randn(32, 16),
    }
    model = tiny_sd1()
    plain, before = answer(model), parameters(model)
    assert apply_patches(model, (lora(tmp_path, tensors, unet_multiplier=0.8),)) == ()
    inside = answer(model)
    assert apply_patches(model, (lora(tmp_path, tensors, unet_multiplier=0.8, functional=True),)) == ()
    assert all(parameters(model)[name] is value for name, value in before.items())
    torch.testing.assert_close(answer(model), inside, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(inside, plain, atol=1e-3)
    apply_patches(model, ())
    assert torch.equal(answer(model), plain)


def test_queries_keys_and_values_in_one_matrix_are_still_changed_in_it(tmp_path: Path) -> None:
    model = tiny_sd2()
    name = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    encoder = model.text_encoders[0]
    assert isinstance(encoder, nn.Module)
    before = encoder.get_parameter("transformer.resblocks.0.attn.in_proj_weight")
    apply_patches(model, (lora(tmp_path, {f"{name}.diff": torch.ones(24, 24)}, functional=True),))
    after = encoder.get_parameter("transformer.resblocks.0.attn.in_proj_weight")
    torch.testing.assert_close(after[:24], before[:24] + 1)
    assert torch.equal(after[24:], before[24:])
