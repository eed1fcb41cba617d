from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from modules.adapters.module_names import diffusers_unet_paths, layers_by_name
from modules.networks.unet import UNet, UNetConfig
from tests.adapters.tiny_models import tiny_sd1, tiny_sd2, tiny_sdxl

SD1_UNET = UNetConfig()
SDXL_UNET = UNetConfig(
    channel_mult=(1, 2, 4),
    transformer_depth=(0, 2, 10),
    middle_depth=10,
    context_dim=2048,
    head_channels=64,
    linear_projections=True,
    adm_channels=2816,
)


def on_meta(config: UNetConfig) -> UNet:
    with torch.device("meta"):
        return UNet(config)


@pytest.mark.parametrize("config", [SD1_UNET, SDXL_UNET])
def test_every_weighted_layer_has_exactly_one_name_in_diffusers(config: UNetConfig) -> None:
    unet = on_meta(config)
    paths = diffusers_unet_paths(unet)
    ours = {name.removesuffix(".weight") for name, _ in unet.named_parameters() if name.endswith(".weight")}
    assert set(paths.values()) == ours
    assert len(paths) == len(ours)


def test_names_are_those_of_diffusers_own_network() -> None:
    with torch.device("meta"):
        theirs: Any = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, attention_head_dim=8
        )
    expected = {
        name.removesuffix(".weight"): tuple(tensor.shape)
        for name, tensor in theirs.named_parameters()
        if name.endswith(".weight")
    }
    unet = on_meta(SD1_UNET)
    shapes = {
        name: tuple(unet.get_parameter(f"{path}.weight").shape)
        for name, path in diffusers_unet_paths(unet).items()
    }
    assert shapes == expected


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (
            "down_blocks.0.attentions.1.transformer_blocks.0.attn2.to_k",
            "input_blocks.2.1.transformer_blocks.0.attn2.to_k",
        ),
        ("down_blocks.1.resnets.0.conv_shortcut", "input_blocks.4.0.skip_connection"),
        ("down_blocks.2.downsamplers.0.conv", "input_blocks.9.0.op"),
        ("mid_block.resnets.1.time_emb_proj", "middle_block.2.emb_layers.1"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.1.conv"),
        ("up_blocks.2.upsamplers.0.conv", "output_blocks.8.2.conv"),
        ("up_blocks.3.attentions.2.proj_out", "output_blocks.11.1.proj_out"),
        ("time_embedding.linear_2", "time_embed.2"),
    ],
)
def test_well_known_layers_of_sd1_are_where_trainers_expect_them(name: str, path: str) -> None:
    assert diffusers_unet_paths(on_meta(SD1_UNET))[name] == path


def test_both_naming_conventions_find_the_same_layer() -> None:
    names = layers_by_name(tiny_sd1())
    diffusers = names["lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0"]
    original = names["lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0"]
    assert diffusers is original
    assert not original.is_text


def test_the_text_encoder_of_sd1_answers_to_both_prefixes() -> None:
    names = layers_by_name(tiny_sd1())
    layer = names["lora_te_text_model_encoder_layers_2_self_attn_q_proj"]
    assert layer is names["lora_te1_text_model_encoder_layers_2_self_attn_q_proj"]
    assert layer.is_text


def test_open_clip_layers_have_transformers_names_and_share_one_matrix() -> None:
    model = tiny_sd2()
    names = layers_by_name(model)
    encoder = model.text_encoders[0]
    assert isinstance(encoder, torch.nn.Module)
    start = "lora_te_text_model_encoder_layers_1_"
    block = encoder.get_submodule("transformer.resblocks.1")
    assert names[f"{start}mlp_fc1"].module is block.get_submodule("mlp.c_fc")
    assert names[f"{start}self_attn_out_proj"].module is block.get_submodule("attn.out_proj")
    fused = [names[f"{start}self_attn_{part}_proj"] for part in "qkv"]
    assert [layer.third for layer in fused] == [0, 1, 2]
    assert all(layer.parameter is block.get_parameter("attn.in_proj_weight") for layer in fused)


def test_the_two_encoders_of_sdxl_are_told_apart() -> None:
    names = layers_by_name(tiny_sdxl())
    first = names["lora_te1_text_model_encoder_layers_0_mlp_fc1"].parameter
    second = names["lora_te2_text_model_encoder_layers_0_mlp_fc1"].parameter
    assert (first.shape[1], second.shape[1]) == (16, 24)
