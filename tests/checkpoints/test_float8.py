"""Weights in eight bits: half the memory, the rounded values' results, and adapters that still act."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modules.adapters.patches import apply_patches
from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.networks.float8 import FLOAT8, in_float8, rounded, widened
from modules.runtime.device import Runtime, WeightStorage
from tests.adapters.test_patches import lora
from tests.checkpoints.tiny import checkpoint_file, state_dict, write

LAYER = "input_blocks.1.1.transformer_blocks.0.attn2.to_k"
FULL = Runtime(torch.device("cpu"))
HALF = Runtime(torch.device("cpu"), torch.bfloat16, torch.float32, channels_last=True, prepacked=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("float8") / "model.safetensors", state_dict("sd1"))


def loaded(checkpoint: Path, weights: WeightStorage, runtime: Runtime = FULL) -> LoadedModel:
    return load_model(checkpoint_file(checkpoint), None, replace(runtime, weights=weights))


def answer(model: LoadedModel) -> Tensor:
    torch.manual_seed(2)
    with torch.inference_mode():
        return model.predict(
            torch.randn(2, 4, 8, 8), torch.tensor([10.0, 900.0]), torch.randn(2, 77, 64), None
        )


def text_states(model: LoadedModel) -> Tensor:
    encoder = model.text_encoders[0]
    ids = torch.arange(77)[None]
    with torch.inference_mode():
        return encoder.normalise(encoder(encoder.embed_tokens(ids), ids).hidden[-1])


def networks(model: LoadedModel) -> list[nn.Module]:
    return [model.unet, *(encoder for encoder in model.text_encoders if isinstance(encoder, nn.Module))]


def to_k(model: LoadedModel) -> Tensor:
    return model.unet.get_parameter(f"{LAYER}.weight")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_eight_bit_value_is_widened_exactly(dtype: torch.dtype) -> None:
    bits = torch.arange(256, dtype=torch.uint8)
    values = bits[(bits & 0x7F) != 0x7F].view(FLOAT8)  # all but the two that are no numbers
    assert torch.equal(widened(values, dtype), values.to(dtype))


def test_values_beyond_the_largest_are_the_largest() -> None:
    assert rounded(torch.tensor([1e4, -1e4, 448.0])).float().tolist() == [448.0, -448.0, 448.0]


def test_weights_take_a_quarter_of_the_memory_of_32_bits_and_biases_and_norms_stay(checkpoint: Path) -> None:
    plain, narrow = (loaded(checkpoint, weights) for weights in ("as computed", "fp8"))
    for network, before in zip(networks(narrow), networks(plain), strict=True):
        for name, parameter in network.named_parameters():
            is_layer = isinstance(network.get_submodule(name.rpartition(".")[0]), nn.Conv2d | nn.Linear)
            expected = FLOAT8 if is_layer and name.endswith("weight") else torch.float32
            assert parameter.dtype is expected, name
            if expected is not FLOAT8:
                assert torch.equal(parameter, before.get_parameter(name))
    in_layers = [parameter for parameter in narrow.unet.parameters() if parameter.dtype is FLOAT8]
    assert sum(parameter.numel() for parameter in in_layers) > 0.9 * sum(
        parameter.numel() for parameter in narrow.unet.parameters()
    )


@pytest.mark.parametrize("runtime", [FULL, HALF], ids=["32 bits", "16 bits"])
def test_results_are_those_of_the_rounded_weights(checkpoint: Path, runtime: Runtime) -> None:
    narrow, twin = (loaded(checkpoint, weights, runtime) for weights in ("fp8", "as computed"))
    for network, theirs in zip(networks(twin), networks(narrow), strict=True):
        for name, parameter in network.named_parameters():
            parameter.data = theirs.get_parameter(name).to(parameter.dtype)
    for ours, wanted in ((answer(narrow), answer(twin)), (text_states(narrow), text_states(twin))):
        if runtime is FULL:
            assert torch.equal(ours, wanted)
        torch.testing.assert_close(ours, wanted, rtol=2e-2, atol=2e-2)
    assert not torch.equal(answer(narrow), answer(loaded(checkpoint, "as computed", runtime)))


def test_seamless_pictures_wrap_around_as_ever(checkpoint: Path) -> None:
    model = loaded(checkpoint, "fp8")
    before = answer(model)
    model.set_tiling(enabled=True)
    assert not torch.equal(answer(model), before)
    model.set_tiling(enabled=False)
    assert torch.equal(answer(model), before)


def test_rows_that_overflow_are_computed_in_32_bits_and_the_weights_come_back(checkpoint: Path) -> None:
    model = loaded(checkpoint, "fp8", HALF)
    before = [parameter.clone() for parameter in model.unet.parameters()]

    def spoil(_module: nn.Module, _arguments: object, out: Tensor) -> Tensor:
        return out if out.dtype is torch.float32 else out * torch.nan

    with model.unet.register_forward_hook(spoil):
        assert torch.isfinite(answer(model)).all()
    for parameter, old in zip(model.unet.parameters(), before, strict=True):
        assert parameter.dtype is old.dtype
        assert torch.equal(parameter.float(), old.float())


@pytest.mark.parametrize("functional", [False, True], ids=["in the weights", "beside them"])
def test_a_change_too_small_for_eight_bits_still_acts_and_goes(
    checkpoint: Path, tmp_path: Path, functional: bool
) -> None:
    model = loaded(checkpoint, "fp8")
    weight, before = to_k(model), answer(model)
    small = weight.float() * 1e-3
    name = f"lora_unet_{LAYER.replace('.', '_')}"
    assert apply_patches(model, (lora(tmp_path, {f"{name}.diff": small}, functional=functional),)) == ()
    changed = answer(model)
    assert not torch.equal(changed, before)
    if not functional:
        torch.testing.assert_close(to_k(model), weight.float() * (1 + 1e-3))
    apply_patches(model, ())
    assert to_k(model) is weight
    assert torch.equal(answer(model), before)


def test_exact_weights_that_are_kept_are_what_adapters_start_from(checkpoint: Path, tmp_path: Path) -> None:
    model = loaded(checkpoint, "fp8 and exact")
    exact = state_dict("sd1")[f"model.diffusion_model.{LAYER}.weight"].half().float()
    name = f"lora_unet_{LAYER.replace('.', '_')}"
    ones = {f"{name}.diff": torch.ones_like(exact)}
    patches = tuple(lora(tmp_path, ones, each) for each in ("first", "second"))
    apply_patches(model, patches)
    torch.testing.assert_close(to_k(model), exact + 2)
    apply_patches(model, ())
    assert to_k(model).dtype is FLOAT8
    assert torch.equal(answer(model), answer(loaded(checkpoint, "fp8")))


def test_a_file_in_16_bits_is_rounded_once_whatever_is_computed_in(tmp_path: Path) -> None:
    state = {name: tensor.half() for name, tensor in state_dict("sd1").items()}
    path = write(tmp_path / "half.safetensors", state)
    models = [loaded(path, "fp8", runtime) for runtime in (FULL, HALF)]
    wanted = rounded(state[f"model.diffusion_model.{LAYER}.weight"].float())
    for model in models:
        assert torch.equal(to_k(model).view(torch.uint8), wanted.view(torch.uint8))


def test_layers_without_memory_are_described_in_eight_bits() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Conv2d(4, 4, 3))
    in_float8(network, torch.float32)
    formats = {name: parameter.dtype for name, parameter in network.named_parameters()}
    narrow = {name for name, dtype in formats.items() if dtype is FLOAT8}
    assert narrow == {"0.weight", "2.weight"}
    assert all(parameter.is_meta for parameter in network.parameters())
