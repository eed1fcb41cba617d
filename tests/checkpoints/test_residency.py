"""Models larger than the device: `--medvram` and `--lowvram`, and what is done without them."""

import itertools
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modules.adapters.patches import apply_patches
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints import loader
from modules.checkpoints.filling import fill_network
from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.conditioning.encoder import PromptEncoder
from modules.conditioning.options import EncodingOptions
from modules.exceptions import DeviceMemoryError
from modules.networks.unet import UNet
from modules.runtime.device import Residency, Runtime
from tests.adapters.test_patches import lora
from tests.checkpoints.tiny import checkpoint_file, state_dict, write
from tests.runtime.counting_carrier import CountingCarrier, lies_at, size

CPU = Runtime(torch.device("cpu"))
TO_K = "input_blocks.1.1.transformer_blocks.0.attn2.to_k"
WAYS: tuple[Residency, ...] = ("turns", "layers")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("residency")
    names = ("sd1", "sdxl")
    return {name: write(folder / f"{name}.safetensors", _with_vocabulary(name)) for name in names}


def _with_vocabulary(name: str) -> dict[str, Tensor]:
    """The tiny weights with a table for every token there is."""
    state = state_dict(name)
    tables = (key for key in state if "token_embedding" in key)
    return state | {key: torch.randn(49408, state[key].shape[1]) * 0.02 for key in tables}


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> CountingCarrier:
    counting = CountingCarrier()
    monkeypatch.setattr(loader, "carrier_for", lambda _device: counting)
    return counting


def load(path: Path, way: Residency = "all", **runtime: object) -> LoadedModel:
    return load_model(checkpoint_file(path), None, replace(CPU, residency=way, **runtime))  # type: ignore[arg-type]


def networks(model: LoadedModel) -> list[nn.Module]:
    return [each for each in (model.unet, model.vae, *model.text_encoders) if isinstance(each, nn.Module)]


def predict(model: LoadedModel, rows: int = 2) -> Tensor:
    config, generator = model.unet.config, torch.Generator().manual_seed(1)
    vector = torch.randn(rows, config.adm_channels, generator=generator) if config.adm_channels else None
    x = torch.randn(rows, 4, 8, 8, generator=generator)
    context = torch.randn(rows, 77, config.context_dim, generator=generator)
    with torch.inference_mode():
        return model.predict(x, torch.linspace(1, 900, rows), context, vector)


def story(model: LoadedModel) -> list[Tensor]:
    """What a picture asks of its model, in its order."""
    encoder = PromptEncoder(model, EmbeddingCatalog((), model.file.store), EncodingOptions())
    text = encoder.positive("a (red:1.2) cat", 4, width=64, height=64).parts[0][0].at(0)
    steps = [predict(model) for _ in range(2)]
    with torch.inference_mode():
        return [text.context, *steps, model.decode(steps[0][:1]), *model.encode(torch.ones(1, 3, 16, 16) / 2)]


def same(ones: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


def budget(unet: UNet) -> int:
    """The two neighbours that are largest together."""
    return max(size(*pair) for pair in itertools.pairwise(unet.layers_in_order()))


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_the_layers_hold_every_weight_of_the_unet_once_and_are_called_in_their_order(
    files: dict[str, Path], name: str
) -> None:
    model = load(files[name])
    unet = model.unet
    layers = list(unet.layers_in_order())
    held = [parameter for layer in layers for parameter in layer.parameters()]
    assert sorted(map(id, held)) == sorted(map(id, unet.parameters()))
    called: list[nn.Module] = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda layer, _inputs: called.append(layer))
    predict(model)
    assert called == layers


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@pytest.mark.parametrize("way", WAYS)
def test_pictures_are_the_same_bits_and_the_device_holds_one_part_at_a_time(
    files: dict[str, Path], carrier: CountingCarrier, name: str, way: Residency
) -> None:
    plain, model = load(files[name]), load(files[name], way)
    assert carrier.held == 0  # nothing is brought before it is needed
    assert same(story(model), story(plain))
    parts = [size(network) for network in networks(model)]
    assert carrier.largest <= max(parts)
    if way == "layers":
        carrier.largest = 0
        model.residence.send_home(networks(model))
        predict(model)
        assert 0 < carrier.largest <= budget(model.unet) < size(model.unet) / 2
        assert carrier.held == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("functional", [False, True], ids=["in the weights", "beside them"])
def test_adapters_act_and_go_as_without(
    files: dict[str, Path], carrier: CountingCarrier, tmp_path: Path, way: Residency, functional: bool
) -> None:
    plain, model = load(files["sd1"]), load(files["sd1"], way)
    changes = {f"lora_unet_{TO_K.replace('.', '_')}.diff": torch.randn(32, 64)}
    patch = lora(tmp_path, changes, functional=functional)
    bare = story(plain)
    for _ in range(2):
        assert same(story(model), bare)
        for each in (plain, model):
            assert apply_patches(each, (patch,)) == ()
        assert same(story(model), story(plain))
        assert not same(story(model), bare)
        for each in (plain, model):
            apply_patches(each, ())
    assert same(story(model), bare)
    model.residence.send_home(networks(model))
    assert carrier.held == 0


@pytest.mark.parametrize("way", WAYS)
def test_rows_that_overflow_are_computed_in_32_bits(
    files: dict[str, Path], carrier: CountingCarrier, way: Residency
) -> None:
    model = load(files["sd1"], way, dtype=torch.bfloat16)
    before = [parameter.clone() for parameter in model.unet.parameters()]

    def spoil(_module: nn.Module, _arguments: object, out: Tensor) -> Tensor:
        return out if out.dtype is torch.float32 else out * torch.nan

    with model.unet.register_forward_hook(spoil):
        assert torch.isfinite(predict(model)).all()
    after = list(model.unet.parameters())
    assert all(torch.equal(a, b) and a.dtype is b.dtype for a, b in zip(after, before, strict=True))


def test_an_error_in_the_middle_of_the_unet_leaves_it_at_home(
    files: dict[str, Path], carrier: CountingCarrier
) -> None:
    model = load(files["sd1"], "layers")
    whole, before = predict(model), lies_at(model.unet)

    def fail(_layer: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        raise ValueError("broken")

    with model.unet.middle_block.register_forward_pre_hook(fail), pytest.raises(ValueError, match="broken"):
        predict(model)
    assert carrier.held == 0
    assert lies_at(model.unet) == before
    assert torch.equal(predict(model), whole)


def test_a_unet_that_does_not_fit_is_brought_layer_by_layer_without_being_told_to(
    files: dict[str, Path], carrier: CountingCarrier, caplog: pytest.LogCaptureFixture
) -> None:
    model = load(files["sd1"], "turns")
    whole = predict(model)
    model.residence.send_home([model.unet])
    carrier.capacity = size(model.unet) - 1
    with caplog.at_level(logging.WARNING):
        assert torch.allclose(predict(model), whole, atol=1e-5)
    assert "layers=True" in caplog.text
    assert carrier.held == 0
    carrier.capacity = budget(model.unet) - 1
    with pytest.raises(DeviceMemoryError):
        predict(model)
    carrier.capacity = 2**40
    assert torch.allclose(predict(model), whole, atol=1e-5)


def test_a_text_encoder_that_finds_no_room_is_an_error_that_says_so(
    files: dict[str, Path], carrier: CountingCarrier
) -> None:
    model = load(files["sd1"], "turns")
    whole, carrier.capacity = story(model), 1000
    model.residence.send_home(networks(model))
    with pytest.raises(DeviceMemoryError, match="too little free memory"):
        story(model)
    carrier.capacity = 2**40
    assert same(story(model), whole)


def test_what_a_file_predicts_is_found_out_layer_by_layer(tmp_path: Path, carrier: CountingCarrier) -> None:
    path = write(tmp_path / "sd2.safetensors", state_dict("sd2"))
    model = load(path, "turns")
    assert model.prediction == load(path).prediction
    assert 0 < carrier.largest <= budget(model.unet)


def test_a_checkpoint_that_the_device_cannot_hold_at_once_is_loaded_to_take_turns(
    files: dict[str, Path],
    carrier: CountingCarrier,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(network: UNet, weights: object, names: object, device: torch.device, dtype: torch.dtype) -> UNet:
        if device.type != "cpu":
            raise torch.OutOfMemoryError("out of memory")
        return fill_network(network, weights, names, device, dtype)  # type: ignore[arg-type]

    monkeypatch.setattr(loader, "fill_network", full)
    with caplog.at_level(logging.WARNING):
        model = load(files["sd1"], device=torch.device("meta"))
    assert model.runtime.residency == "turns"
    assert caplog.text.count("--medvram") == 1
    assert all(parameter.device.type == "cpu" for parameter in model.unet.parameters())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), MemoryError()])
def test_a_checkpoint_that_main_memory_cannot_hold_either_is_an_error(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_arguments: object) -> UNet:
        raise error

    monkeypatch.setattr(loader, "fill_network", full)
    for device in ("cpu", "meta"):
        with pytest.raises(DeviceMemoryError, match="too little free memory"):
            load(files["sd1"], device=torch.device(device))


def test_only_sdxl_takes_turns_where_the_flag_says_so(files: dict[str, Path]) -> None:
    found = {name: load(path, "turns for SDXL").runtime.residency for name, path in files.items()}
    assert found == {"sd1": "all", "sdxl": "turns"}
