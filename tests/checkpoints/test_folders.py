"""Folders in diffusers' layout give the same models as single files."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL as TheirVae
from diffusers import UNet2DConditionModel as TheirUNet
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    BitConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    DPTConfig,
    DPTForDepthEstimation,
)
from transformers import CLIPTextConfig as TheirTextConfig

from modules.checkpoints.files import CheckpointFile, ModelStore, VaeFile
from modules.checkpoints.loader import load_model, load_vae
from modules.checkpoints.model import LoadedModel
from modules.exceptions import CheckpointError
from modules.networks.open_clip_text import OpenClipTextEncoder
from modules.runtime.device import Runtime

CPU = Runtime(torch.device("cpu"))
CROSS_DOWN, DOWN, CROSS_UP, UP = "CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"


def _randomise(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = 0.2 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.add_(torch.randn(parameter.shape, generator=generator) * spread)


def _text(activation: str, projection: int = 0) -> nn.Module:
    config = TheirTextConfig(
        vocab_size=100, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=1,
        hidden_act=activation, projection_dim=projection or 64, bos_token_id=98, eos_token_id=99,
    )  # fmt: skip
    return (CLIPTextModelWithProjection(config) if projection else CLIPTextModel(config)).eval()


def _pipeline(
    folder: Path, unet: nn.Module, texts: dict[str, nn.Module], **scheduler: object
) -> CheckpointFile:
    vae = TheirVae(
        block_out_channels=[32, 64], layers_per_block=1, norm_num_groups=16, scaling_factor=0.3,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
    )  # fmt: skip
    for name, network in {"unet": unet, "vae": vae, **texts}.items():
        _randomise(network)
        network.save_pretrained(folder / name)
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    (folder / "model_index.json").write_text("{}")
    return CheckpointFile(folder, folder.name, ModelStore.below(folder.parent / "cache"))


def _sd2(folder: Path, **scheduler: object) -> tuple[CheckpointFile, TheirUNet, nn.Module]:
    unet = TheirUNet(
        block_out_channels=(64, 128), layers_per_block=1, attention_head_dim=[2, 4], cross_attention_dim=64,
        use_linear_projection=True, norm_num_groups=16, down_block_types=(CROSS_DOWN, DOWN),
        up_block_types=(UP, CROSS_UP),
    ).eval()  # fmt: skip
    text = _text("gelu")
    return _pipeline(folder, unet, {"text_encoder": text}, **scheduler), unet, text


def _distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def _ids() -> torch.Tensor:
    ids = torch.full((1, 77), 99)
    ids[0, :4] = torch.tensor([98, 3, 7, 5])
    return ids


@torch.no_grad()
def test_an_sd2_folder_predicts_what_diffusers_predicts(tmp_path: Path) -> None:
    file, unet, text = _sd2(tmp_path / "sd2", prediction_type="v_prediction", rescale_betas_zero_snr=True)
    model = load_model(file, None, CPU)
    assert (model.prediction, model.latent_scale, model.vae.config.groups) == ("v", 0.3, 16)
    assert float(model.schedule.sigma_max) > 4000
    x, context = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 64)
    expected = unet(x, torch.tensor([300.0]), context).sample
    assert _distance(model.predict(x, torch.tensor([300.0]), context), expected) < 1e-5
    encoder = model.text_encoders[0]
    role = model.family.text_encoders[0]
    state = encoder(encoder.embed_tokens(_ids()), _ids()).hidden[role.hidden_layer]
    assert _distance(encoder.normalise(state), text(_ids()).last_hidden_state) < 1e-5


@torch.no_grad()
def test_an_sdxl_folder_has_both_text_encoders(tmp_path: Path) -> None:
    unet = TheirUNet(
        block_out_channels=(32, 64), layers_per_block=1, attention_head_dim=[1, 2], cross_attention_dim=128,
        use_linear_projection=True, transformer_layers_per_block=[1, 2], addition_embed_type="text_time",
        addition_time_embed_dim=32, projection_class_embeddings_input_dim=64 + 6 * 32,
        down_block_types=(DOWN, CROSS_DOWN), up_block_types=(CROSS_UP, UP),
    ).eval()  # fmt: skip
    second = _text("gelu", projection=64)
    file = _pipeline(
        tmp_path / "sdxl", unet, {"text_encoder": _text("quick_gelu"), "text_encoder_2": second},
        prediction_type="epsilon",
    )  # fmt: skip
    model = load_model(file, None, CPU)
    assert model.family.size_conditioning == "sdxl"
    assert model.prediction == "epsilon"
    encoder = model.text_encoders[1]
    assert isinstance(encoder, OpenClipTextEncoder)
    pooled = encoder(encoder.embed_tokens(_ids()), _ids()).pooled
    assert pooled is not None
    assert _distance(pooled, second(_ids()).text_embeds) < 1e-5


def _same(first: LoadedModel, second: LoadedModel) -> bool:
    pairs = zip(first.unet.state_dict().values(), second.unet.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_shards_and_half_precision_variants_are_understood(tmp_path: Path) -> None:
    file, _, _ = _sd2(tmp_path / "sd2", prediction_type="epsilon")
    plain = load_model(file, None, CPU)
    whole = file.path / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(whole)
    save_file({name: value.half() for name, value in tensors.items()},
              whole.with_name("diffusion_pytorch_model.fp16.safetensors"))  # fmt: skip
    assert _same(load_model(file, None, CPU), plain)
    names = sorted(tensors)
    for i, part in enumerate((names[::2], names[1::2]), 1):
        shard = whole.with_name(f"diffusion_pytorch_model-0000{i}-of-00002.safetensors")
        save_file({name: tensors[name] for name in part}, shard)
    whole.unlink()
    assert _same(load_model(file, None, CPU), plain)


def test_a_folder_of_pickles_goes_through_the_gate(tmp_path: Path) -> None:
    file, _, _ = _sd2(tmp_path / "sd2", prediction_type="epsilon")
    plain = load_model(file, None, CPU)
    whole = file.path / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(whole), whole.with_suffix(".bin"))
    whole.unlink()
    assert _same(load_model(file, None, CPU), plain)


def test_a_folder_without_unet_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    file = CheckpointFile(tmp_path / "empty", "empty", ModelStore.below(tmp_path / "cache"))
    with pytest.raises(CheckpointError, match="empty: has no weights in its folder 'unet'"):
        load_model(file, None, CPU)


def test_a_broken_configuration_is_named(tmp_path: Path) -> None:
    file, _, _ = _sd2(tmp_path / "sd2", prediction_type="epsilon")
    (file.path / "unet" / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: is no JSON"):
        load_model(file, None, CPU)


@torch.no_grad()
def test_a_vae_file_in_diffusers_names_is_understood(tmp_path: Path) -> None:
    theirs = TheirVae(
        block_out_channels=[32, 64], layers_per_block=1,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
    ).eval()  # fmt: skip
    _randomise(theirs)
    save_file(theirs.state_dict(), tmp_path / "vae.safetensors")
    ours = load_vae(VaeFile(tmp_path / "vae.safetensors", ModelStore.below(tmp_path / "cache")), CPU)
    z = torch.randn(1, 4, 4, 4)
    assert _distance(ours.decode(z), theirs.decode(z).sample) < 1e-5


def test_a_depth_model_brings_its_estimator(tmp_path: Path) -> None:
    torch.manual_seed(0)
    unet = TheirUNet(
        in_channels=5, block_out_channels=(64, 128), layers_per_block=1, attention_head_dim=[2, 4],
        cross_attention_dim=64, use_linear_projection=True, norm_num_groups=16,
        down_block_types=(CROSS_DOWN, DOWN), up_block_types=(UP, CROSS_UP),
    )  # fmt: skip
    backbone = BitConfig(
        embedding_size=32, hidden_sizes=[128, 128, 128], depths=[1, 1, 1], embedding_dynamic_padding=True,
        layer_type="bottleneck", global_padding="same", out_features=["stage1", "stage2", "stage3"],
    )  # fmt: skip
    estimator = DPTForDepthEstimation(
        DPTConfig(
            is_hybrid=True, backbone_config=backbone, hidden_size=64, num_hidden_layers=4,
            num_attention_heads=1, intermediate_size=64, backbone_out_indices=[0, 1, 2, 3], image_size=32,
            neck_hidden_sizes=[128, 128, 32, 32], fusion_hidden_size=8, backbone_featmap_shape=[1, 128, 2, 2],
        )
    )  # fmt: skip
    folder = tmp_path / "model"
    model = load_model(
        _pipeline(folder, unet, {"text_encoder": _text("gelu"), "depth_estimator": estimator}), None, CPU
    )
    assert model.family.extra_channels == "depth"
    assert model.estimate_depth(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 384, 384)
