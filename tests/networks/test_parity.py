"""Equal results to the diffusers and transformers libraries with the same random weights, in float32."""

import pytest
import torch
from diffusers import AutoencoderKL as TheirVae
from diffusers import UNet2DConditionModel as TheirUNet
from torch import Tensor, nn
from transformers import CLIPTextConfig as TheirTextConfig
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from modules.families.diffusers_names import (
    open_clip_sources,
    translate,
    unet_layout,
    unet_modules,
    vae_modules,
)
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.open_clip_text import OpenClipTextConfig, OpenClipTextEncoder
from modules.networks.unet import UNet, UNetConfig
from modules.networks.vae import AutoencoderKL, VaeConfig

LIMIT = 1e-5  # relative L2
VOCABULARY = 200

DOWN, CROSS_DOWN, UP, CROSS_UP = "DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"
UNETS = {
    "sd1": (
        UNetConfig(model_channels=64, context_dim=48),
        {"attention_head_dim": 8, "cross_attention_dim": 48, "block_out_channels": (64, 128, 256, 256),
         "down_block_types": (CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, DOWN),
         "up_block_types": (UP, CROSS_UP, CROSS_UP, CROSS_UP)},
    ),
    "sd1-inpaint": (
        UNetConfig(in_channels=9, model_channels=32, context_dim=48),
        {"in_channels": 9, "attention_head_dim": 8, "cross_attention_dim": 48,
         "block_out_channels": (32, 64, 128, 128),
         "down_block_types": (CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, DOWN),
         "up_block_types": (UP, CROSS_UP, CROSS_UP, CROSS_UP)},
    ),
    "sd2": (
        UNetConfig(model_channels=64, context_dim=64, head_channels=64, linear_projections=True),
        {"attention_head_dim": [1, 2, 4, 4], "cross_attention_dim": 64, "use_linear_projection": True,
         "block_out_channels": (64, 128, 256, 256),
         "down_block_types": (CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, DOWN),
         "up_block_types": (UP, CROSS_UP, CROSS_UP, CROSS_UP)},
    ),
    "sdxl": (
        UNetConfig(model_channels=32, channel_mult=(1, 2, 4), transformer_depth=(0, 2, 3), middle_depth=3,
                   context_dim=96, head_channels=32, linear_projections=True, adm_channels=64 + 6 * 32),
        {"attention_head_dim": [1, 2, 4], "cross_attention_dim": 96, "use_linear_projection": True,
         "block_out_channels": (32, 64, 128), "transformer_layers_per_block": [1, 2, 3],
         "down_block_types": (DOWN, CROSS_DOWN, CROSS_DOWN), "up_block_types": (CROSS_UP, CROSS_UP, UP),
         "addition_embed_type": "text_time", "addition_time_embed_dim": 32,
         "projection_class_embeddings_input_dim": 64 + 6 * 32},
    ),
}  # fmt: skip


def _randomise(network: nn.Module) -> None:
    """Give every parameter a random value, so that none is zero or one by initialisation."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = 0.2 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.add_(torch.randn(parameter.shape, generator=generator) * spread)


def _distance(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _translated(theirs: nn.Module, modules: dict[str, str]) -> dict[str, Tensor]:
    renamed = {}
    for name, value in theirs.state_dict().items():
        original = translate(name, modules)
        assert original is not None, f"{name} has no original name"
        assert original not in renamed, f"two parameters are called {original}"
        renamed[original] = value
    return renamed


@pytest.mark.parametrize("family", UNETS)
@pytest.mark.parametrize("size", [(16, 16), (24, 8)])
def test_unet_equals_diffusers(family: str, size: tuple[int, int]) -> None:
    config, options = UNETS[family]
    theirs = TheirUNet(**options).eval()
    _randomise(theirs)
    ours = UNet(config).eval()
    shapes = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    ours.load_state_dict(_translated(theirs, unet_modules(unet_layout(shapes))), strict=True)
    x, context = _random(2, config.in_channels, *size), _random(2, 77, config.context_dim, seed=1)
    timesteps = torch.tensor([3.0, 981.0])
    conditions, y = None, None
    if config.adm_channels:
        pooled, sizes = _random(2, 64, seed=2), torch.tensor([[512.0, 768, 0, 4, 512, 768]] * 2)
        conditions = {"text_embeds": pooled, "time_ids": sizes}
        y = torch.cat([pooled, theirs.add_time_proj(sizes.flatten()).reshape(2, -1)], dim=1)
    with torch.no_grad():
        expected = theirs(x, timesteps, context, added_cond_kwargs=conditions).sample
        assert _distance(ours(x, timesteps, context, y), expected) < LIMIT


@pytest.mark.parametrize("shape", [((1, 2, 4, 4), 2), ((1, 2), 1)])
def test_vae_equals_diffusers(shape: tuple[tuple[int, ...], int]) -> None:
    factors, blocks = shape
    theirs = TheirVae(
        block_out_channels=[32 * factor for factor in factors],
        layers_per_block=blocks,
        down_block_types=["DownEncoderBlock2D"] * len(factors),
        up_block_types=["UpDecoderBlock2D"] * len(factors),
    ).eval()
    _randomise(theirs)
    ours = AutoencoderKL(VaeConfig(channels=32, channel_mult=factors, num_res_blocks=blocks)).eval()
    state = _translated(theirs, vae_modules(len(factors), blocks))
    ours.load_state_dict(
        {
            name: value[..., None, None] if _is_projection(name, value) else value
            for name, value in state.items()
        },
        strict=True,
    )
    pixels, latent = _random(2, 3, 32, 48), _random(2, 4, 8, 4, seed=1)
    with torch.no_grad():
        posterior = theirs.encode(pixels).latent_dist
        mean, logvar = ours.encode(pixels)
        assert _distance(mean, posterior.mean) < LIMIT
        assert _distance(logvar, posterior.logvar) < LIMIT
        assert _distance(ours.decode(latent), theirs.decode(latent).sample) < LIMIT


def _is_projection(name: str, value: Tensor) -> bool:
    return ".attn_1." in name and value.ndim == 2


def _their_config(activation: str, projection: int = 0) -> TheirTextConfig:
    return TheirTextConfig(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=256, num_hidden_layers=3,
        num_attention_heads=2,
        hidden_act=activation, projection_dim=projection or 64, bos_token_id=198, eos_token_id=199,
    )  # fmt: skip


def _ids() -> Tensor:
    ids = torch.randint(0, 198, (2, 77), generator=torch.Generator().manual_seed(3))
    ids[:, 0], ids[0, 9:], ids[1, 76] = 198, 199, 199
    return ids


def test_clip_text_equals_transformers() -> None:
    theirs = CLIPTextModel(_their_config("quick_gelu")).eval()
    _randomise(theirs)
    ours = ClipTextEncoder(
        ClipTextConfig(width=64, layers=3, heads=2, mlp_width=256, vocabulary=VOCABULARY)
    ).eval()
    state = {name: value for name, value in theirs.state_dict().items() if "position_ids" not in name}
    ours.load_state_dict(_with_text_model(state), strict=True)
    ids = _ids()
    with torch.no_grad():
        expected = theirs(ids, output_hidden_states=True)
        states = ours(ours.embed_tokens(ids), ids)
        assert states.pooled is None
        assert len(states.hidden) == len(expected.hidden_states) == 4
        for mine, hidden in zip(states.hidden, expected.hidden_states, strict=True):
            assert _distance(mine, hidden) < LIMIT
        assert _distance(ours.normalise(states.hidden[-1]), expected.last_hidden_state) < LIMIT


def _with_text_model(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The newest transformers leave out this part of the names, checkpoints have it."""
    return {
        name if name.startswith("text_") else f"text_model.{name}": value for name, value in state.items()
    }


def test_open_clip_text_equals_transformers() -> None:
    theirs = CLIPTextModelWithProjection(_their_config("gelu", projection=40)).eval()
    _randomise(theirs)
    ours = OpenClipTextEncoder(
        OpenClipTextConfig(width=64, layers=3, heads=2, mlp_width=256, projection=40, vocabulary=VOCABULARY)
    ).eval()
    state = _with_text_model(theirs.state_dict())
    joined = {
        name: torch.cat([state[part] for part in parts]) for name, parts in open_clip_sources(3).items()
    }
    joined["text_projection"] = joined["text_projection"].t()
    ours.load_state_dict(joined, strict=True)
    ids = _ids()
    with torch.no_grad():
        expected = theirs(ids, output_hidden_states=True)
        states = ours(ours.embed_tokens(ids), ids)
        for mine, hidden in zip(states.hidden, expected.hidden_states, strict=True):
            assert _distance(mine, hidden) < LIMIT
        assert states.pooled is not None
        assert _distance(states.pooled, expected.text_embeds) < LIMIT
