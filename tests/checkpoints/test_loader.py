"""Loading checkpoints of all families, layouts and number formats."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modules.checkpoints.files import ModelStore, VaeFile
from modules.checkpoints.loader import detect_checkpoint, load_model, load_vae
from modules.checkpoints.model import LoadedModel
from modules.diffusion.schedule import NoiseSchedule
from modules.exceptions import CheckpointError
from modules.networks.text_encoder import TextEncoder
from modules.runtime.device import Runtime
from tests.checkpoints.tiny import CHECKPOINTS, architecture, checkpoint_file, state_dict, write

CPU = Runtime(torch.device("cpu"))
TABLE = NoiseSchedule.scaled_linear().alphas_cumprod


def _load(path: Path) -> LoadedModel:
    return load_model(checkpoint_file(path), None, CPU)


def _module(encoder: TextEncoder) -> nn.Module:
    assert isinstance(encoder, nn.Module)
    return encoder


def _answer(model: LoadedModel) -> Tensor:
    config = model.unet.config
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(1, config.in_channels, 8, 8, generator=generator)
    context = torch.randn(1, 77, config.context_dim, generator=generator)
    y = torch.randn(1, config.adm_channels, generator=generator) if config.adm_channels else None
    return model.predict(x, torch.tensor([500.0]), context, y)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_weight_arrives_where_it_belongs(tmp_path: Path, name: str) -> None:
    state = state_dict(name)
    model = _load(write(tmp_path / "model.safetensors", state))
    assert model.unet.config == CHECKPOINTS[name].unet
    assert model.vae.config == CHECKPOINTS[name].vae
    networks = [("model.diffusion_model.", model.unet), ("first_stage_model.", model.vae)]
    prefixes = [prefix for prefix, _ in CHECKPOINTS[name].texts]
    networks += list(zip(prefixes, map(_module, model.text_encoders), strict=True))
    arrived = {
        prefix + key: value for prefix, network in networks for key, value in network.state_dict().items()
    }
    assert arrived.keys() == state.keys()
    assert all(torch.equal(arrived[key], state[key]) for key in state)
    assert not any(p.requires_grad for _, network in networks for p in network.parameters())
    assert _answer(model).shape == (1, 4, 8, 8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_weights_of_other_formats_are_converted(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {key: value.to(dtype) for key, value in state_dict("sd1").items()}
    model = _load(write(tmp_path / "model.safetensors", state))
    weight = model.unet.state_dict()["time_embed.0.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state["model.diffusion_model.time_embed.0.weight"].float())


def test_a_runtime_in_half_precision_keeps_the_vae_in_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", state_dict("sd1"))
    runtime = Runtime(torch.device("cpu"), torch.bfloat16, torch.float32)
    model = load_model(checkpoint_file(path), None, runtime)
    assert model.unet.out[2].weight.dtype == torch.bfloat16
    assert model.vae.quant_conv.weight.dtype == torch.float32
    assert _answer(model).dtype == torch.float32
    assert model.decode(torch.zeros(1, 4, 2, 2)).shape == (1, 3, 4, 4)


def test_ema_schedules_and_other_extra_tensors_are_ignored(tmp_path: Path) -> None:
    state = state_dict("sd1")
    extra = {"model_ema.decay": torch.tensor(0.99), "model_ema.diffusion_modelout2bias": torch.zeros(4),
             "betas": torch.zeros(1000), "cond_stage_model.transformer.text_model.embeddings.position_ids":
             torch.arange(77)[None], "loss.perceptual": torch.zeros(1)}  # fmt: skip
    plain, full = (
        _load(write(tmp_path / f"{n}.safetensors", s)) for n, s in (("a", state), ("b", state | extra))
    )
    assert torch.equal(_answer(plain), _answer(full))


def test_a_pickled_checkpoint_gives_the_same_model(tmp_path: Path) -> None:
    state = state_dict("sd1")
    torch.save({"state_dict": state, "global_step": 1}, tmp_path / "model.ckpt")
    safe = _load(write(tmp_path / "safe.safetensors", state))
    assert torch.equal(_answer(_load(tmp_path / "model.ckpt")), _answer(safe))


def test_old_names_of_the_text_encoder_are_understood(tmp_path: Path) -> None:
    state = {key.replace(".text_model.", "."): value for key, value in state_dict("sd1").items()}
    model = _load(write(tmp_path / "model.safetensors", state))
    weight = _module(model.text_encoders[0]).state_dict()["text_model.final_layer_norm.weight"]
    assert torch.equal(weight, state["cond_stage_model.transformer.final_layer_norm.weight"])


def test_the_schedule_in_the_file_is_used(tmp_path: Path) -> None:
    table = NoiseSchedule.cosine().alphas_cumprod
    model = _load(write(tmp_path / "model.safetensors", state_dict("sd1") | {"alphas_cumprod": table}))
    assert torch.equal(model.schedule.alphas_cumprod, table)


@pytest.mark.parametrize(
    "table",
    [torch.ones(1000), torch.zeros(1000), torch.linspace(0, 1, 1000), TABLE * torch.nan, torch.zeros(0)],
)
def test_a_table_that_is_no_schedule_is_not_used(tmp_path: Path, table: Tensor) -> None:
    model = _load(write(tmp_path / "model.safetensors", state_dict("sd1") | {"alphas_cumprod": table}))
    assert torch.equal(model.schedule.alphas_cumprod, TABLE)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, NoiseSchedule.scaled_linear()),
        ({"schedule": "cosine"}, NoiseSchedule.cosine()),
        ({"schedule": "linear"}, NoiseSchedule.linear()),
        ({"beta_end": 0.02}, NoiseSchedule.scaled_linear(beta_end=0.02)),
        ({"zero_terminal_snr": True}, NoiseSchedule.scaled_linear().zero_terminal_snr()),
    ],
)
def test_metadata_may_name_the_schedule(
    tmp_path: Path, said: dict[str, object], expected: NoiseSchedule
) -> None:
    model = _load(write(tmp_path / "model.safetensors", state_dict("sd1"), architecture(**said)))
    assert torch.equal(model.schedule.alphas_cumprod, expected.alphas_cumprod)


@pytest.mark.parametrize(("bias", "prediction"), [(0.0, "epsilon"), (-1.5, "v")])
def test_sd2_is_asked_what_it_predicts(tmp_path: Path, bias: float, prediction: str) -> None:
    state = state_dict("sd2")
    state["model.diffusion_model.out.2.weight"] *= 0.1
    state["model.diffusion_model.out.2.bias"] = torch.full((4,), bias)
    assert _load(write(tmp_path / "model.safetensors", state)).prediction == prediction


def test_a_sidecar_says_that_sd2_predicts_noise_whatever_it_answers(tmp_path: Path) -> None:
    state = state_dict("sd2") | {"model.diffusion_model.out.2.bias": torch.full((4,), -9.0)}
    sidecar = "model: {params: {unet_config: {params: {num_head_channels: 64}}}}"
    assert _load(write(tmp_path / "model.safetensors", state, sidecar=sidecar)).prediction == "epsilon"


def test_the_model_tells_what_it_needs(tmp_path: Path) -> None:
    said = architecture(native_size=256, latent_scale=0.5)
    model = _load(write(tmp_path / "model.safetensors", state_dict("sd1"), said))
    assert (model.native_size, model.latent_scale, model.latent_channels, model.latent_factor) == (
        256,
        0.5,
        4,
        2,
    )
    assert model.preview_matrix is None


def test_a_loaded_model_outlives_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", state_dict("sd1"))
    model = _load(path)
    before = _answer(model)
    with path.open("r+b") as file:
        file.truncate(100)
    assert torch.equal(_answer(model), before)


def test_detection_reads_no_weights(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", state_dict("sdxl"))
    assert detect_checkpoint(checkpoint_file(path)).family.size_conditioning == "sdxl"


def _vae_file(path: Path) -> VaeFile:
    return VaeFile(path, ModelStore.below(path.parent / "cache"))


def _vae_state(seed: int, prefix: str = "") -> dict[str, Tensor]:
    state = state_dict("sd1", seed)
    return {
        prefix + key.removeprefix("first_stage_model."): value
        for key, value in state.items()
        if key.startswith("first_stage_model.")
    }


def test_an_external_vae_replaces_the_baked_in_one_and_back(tmp_path: Path) -> None:
    checkpoint = checkpoint_file(write(tmp_path / "model.safetensors", state_dict("sd1")))
    other = _vae_file(write(tmp_path / "other.safetensors", _vae_state(seed=1) | {"loss.x": torch.zeros(1)}))
    baked, external = load_model(checkpoint, None, CPU), load_model(checkpoint, other, CPU)
    z = torch.ones(1, 4, 4, 4)
    assert external.vae_file == other
    assert not torch.equal(baked.decode(z), external.decode(z))
    assert torch.equal(_answer(baked), _answer(external))
    swapped = baked.with_vae(load_vae(other, CPU), other)
    assert torch.equal(swapped.decode(z), external.decode(z))
    assert swapped.unet is baked.unet


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_vae_file_may_be_pickled_or_have_prefixes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vae{suffix}"
    state = _vae_state(1, "" if suffix == ".pt" else "first_stage_model.")
    if suffix == ".pt":
        torch.save({"state_dict": state}, path)
    else:
        write(path, state)
    weight = load_vae(_vae_file(path), CPU).quant_conv.weight
    assert torch.equal(weight, _vae_state(1)["quant_conv.weight"])


def test_a_checkpoint_without_vae_needs_another(tmp_path: Path) -> None:
    bare = {key: value for key, value in state_dict("sd1").items() if not key.startswith("first_stage")}
    checkpoint = checkpoint_file(write(tmp_path / "model.safetensors", bare))
    with pytest.raises(CheckpointError, match=r"holds no VAE; choose one in the settings"):
        load_model(checkpoint, None, CPU)
    vae = _vae_file(write(tmp_path / "vae.safetensors", _vae_state(1)))
    assert load_model(checkpoint, vae, CPU).vae_file == vae


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    state = state_dict("sd1")
    del state["model.diffusion_model.out.0.bias"]
    with pytest.raises(CheckpointError, match=r"model\.safetensors: the weight out\.0\.bias is missing"):
        _load(write(tmp_path / "model.safetensors", state))


def test_a_weight_of_another_shape_is_named(tmp_path: Path) -> None:
    state = state_dict("sd1") | {"model.diffusion_model.out.0.bias": torch.zeros(3)}
    with pytest.raises(CheckpointError, match=r"out\.0\.bias has shape \[3\] instead of \[32\]"):
        _load(write(tmp_path / "model.safetensors", state))


def test_a_file_that_is_no_vae_is_refused(tmp_path: Path) -> None:
    vae = _vae_file(write(tmp_path / "lora.safetensors", {"lora_unet.lora_up.weight": torch.zeros(2, 2)}))
    with pytest.raises(
        CheckpointError, match=r"lora\.safetensors: is no Stable Diffusion VAE: .* is missing"
    ):
        load_vae(vae, CPU)


def test_a_vae_with_other_latents_is_refused(tmp_path: Path) -> None:
    checkpoint = checkpoint_file(write(tmp_path / "model.safetensors", state_dict("sd1")))
    state = _vae_state(1)
    wide = {
        key: torch.zeros([8 if side == 4 else 16 if side == 8 else side for side in value.shape])
        if key.startswith(("quant_conv", "post_quant_conv", "decoder.conv_in", "encoder.conv_out"))
        else value
        for key, value in state.items()
    }
    vae = _vae_file(write(tmp_path / "wide.safetensors", wide))
    with pytest.raises(CheckpointError, match="8 latent channels, the model wants 4"):
        load_model(checkpoint, vae, CPU)


def test_memory_layout_of_a_flat_picture_does_not_change_its_latent(tmp_path: Path) -> None:
    model = _load(write(tmp_path / "model.safetensors", state_dict("sd1")))
    planar = torch.full((1, 3, 32, 32), 0.25)
    mean, _ = model.encode(planar)
    interleaved, _ = model.encode(planar.contiguous(memory_format=torch.channels_last))
    assert torch.equal(mean, interleaved)
