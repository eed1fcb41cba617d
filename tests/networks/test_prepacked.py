"""Packed weights change the speed, and nothing else that a user could notice."""

import copy

import pytest
import torch
from torch import Tensor, nn

from modules.networks.prepacked import PackedConv2d, PackedGatedGelu, PackedLinear, prepack
from modules.networks.tiling import set_tiling
from modules.networks.unet import GatedGelu, UNet, UNetConfig

DTYPES = [torch.float32, torch.bfloat16]


def _random(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def _frozen(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 9
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
    return network.to(dtype).requires_grad_(requires_grad=False).eval()


def _packed(network: nn.Module) -> nn.Module:
    twin = copy.deepcopy(network)
    prepack(twin)
    return twin


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(32, 48, 3, padding=1),
        nn.Conv2d(32, 48, 1),
        nn.Conv2d(4, 32, 3, stride=2, padding=1),
        nn.Linear(64, 48),
        nn.Linear(64, 48, bias=False),
        GatedGelu(64, 96),
    ],
    ids=["3x3", "1x1", "strided", "linear", "no bias", "gated"],
)
def test_a_packed_layer_gives_what_the_layer_gave(layer: nn.Module, dtype: torch.dtype) -> None:
    plain = _frozen(copy.deepcopy(layer), dtype)
    packed = _packed(plain)
    assert type(packed) in {PackedConv2d, PackedLinear, PackedGatedGelu}
    channels = next(plain.parameters()).shape[1]
    with torch.inference_mode():
        for rows in (1, 3):
            shape = (rows, channels, 10, 6) if isinstance(layer, nn.Conv2d) else (rows, 10, channels)
            x = _random(*shape, dtype=dtype, seed=rows)
            assert _distance(packed(x), plain(x)) < (1e-6 if dtype is torch.float32 else 6e-3)


@pytest.mark.parametrize("layer", [nn.Conv2d(32, 48, 3, padding=1), nn.Linear(64, 48), GatedGelu(64, 96)])
def test_another_weight_in_its_place_is_used_at_once(layer: nn.Module) -> None:
    plain = _frozen(copy.deepcopy(layer), torch.float32)
    packed = _packed(plain)
    shape = (1, 32, 8, 8) if isinstance(layer, nn.Conv2d) else (2, 8, 64)
    x = _random(*shape)
    with torch.inference_mode():
        before = packed(x)
        holder = packed.proj if isinstance(packed, GatedGelu) else packed
        original = holder.weight
        assert isinstance(original, nn.Parameter)
        vars(holder)["_parameters"]["weight"] = nn.Parameter(2 * original, requires_grad=False)
        assert _distance(packed(x), before) > 0.1
        vars(holder)["_parameters"]["weight"] = original
        assert torch.equal(packed(x), before)
        packed.bfloat16()
        assert _distance(packed(x.bfloat16()), before) < 2e-2
        packed.float()
        assert _distance(packed(x), before) < 2e-2


@pytest.mark.parametrize("layer", [nn.Conv2d(32, 48, 3, padding=1), nn.Linear(64, 48), GatedGelu(64, 96)])
def test_a_weight_that_learns_is_used_as_it_is(layer: nn.Module) -> None:
    packed = _packed(_frozen(copy.deepcopy(layer), torch.float32)).requires_grad_()
    x = _random(1, 32, 8, 8) if isinstance(layer, nn.Conv2d) else _random(2, 8, 64)
    with torch.no_grad():
        before = packed(x)
        for parameter in packed.parameters():
            parameter.mul_(2)  # as an optimiser does
        assert _distance(packed(x), before) > 0.5


def test_a_hook_inside_a_packed_layer_is_still_called() -> None:
    packed = _packed(_frozen(GatedGelu(64, 96), torch.float32))
    assert isinstance(packed, GatedGelu)
    x = _random(1, 8, 64)
    with torch.inference_mode():
        before = packed(x)
        handle = packed.proj.register_forward_hook(lambda _layer, _inputs, out: 0 * out)
        assert packed(x).abs().max() == 0
        handle.remove()
        assert torch.equal(packed(x), before)


def test_a_packed_network_still_tiles_and_still_learns() -> None:
    plain = _frozen(UNet(UNetConfig(model_channels=32, context_dim=16)), torch.float32)
    packed = _packed(plain)
    inputs = (_random(2, 4, 16, 8), torch.tensor([3.0, 981.0]), _random(2, 7, 16))
    for tiles in (False, True):
        set_tiling(plain, tiles)
        set_tiling(packed, tiles)
        with torch.inference_mode():
            assert _distance(packed(*inputs), plain(*inputs)) < 1e-5
    x = inputs[0].clone().requires_grad_()
    packed(x, *inputs[1:]).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0
