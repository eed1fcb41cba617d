"""Upscaling networks against a reference written with torch's functions alone."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.networks.upscalers.compact import CompactNet, compact_config
from modules.networks.upscalers.rrdb import RrdbConfig, RrdbNet, rrdb_config, rrdb_names

SMALL = RrdbConfig(channels=8, blocks=2, growth=4)


def randomised(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1, generator=generator)
    return network.requires_grad_(False).eval()


def conv(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)


def reference(state: Mapping[str, Tensor], x: Tensor, *, blocks: int, doublings: int, fold: int) -> Tensor:
    """Equations of the ESRGAN paper, section 3.1, with its 0.2 of residual scaling."""

    def act(y: Tensor) -> Tensor:
        return torch.where(y > 0, y, 0.2 * y)

    B, C, H, W = x.shape
    folded = x.reshape(B, C, H // fold, fold, W // fold, fold).permute(0, 1, 3, 5, 2, 4)
    first = conv(state, "conv_first", folded.reshape(B, C * fold**2, H // fold, W // fold))
    h = first
    for block in range(blocks):
        outer = h
        for part in (1, 2, 3):
            inner, seen = h, h
            for layer in (1, 2, 3, 4):
                seen = torch.cat([seen, act(conv(state, f"body.{block}.rdb{part}.conv{layer}", seen))], 1)
            h = inner + 0.2 * conv(state, f"body.{block}.rdb{part}.conv5", seen)
        h = outer + 0.2 * h
    h = first + conv(state, "conv_body", h)
    for number in range(doublings):
        doubled = h.repeat_interleave(2, 2).repeat_interleave(2, 3)
        h = act(conv(state, f"conv_up{number + 1}", doubled))
    return conv(state, "conv_last", act(conv(state, "conv_hr", h)))


def old_name(name: str, blocks: int, doublings: int) -> str:
    """A name of ours as ESRGAN's first files have it."""
    module, _, kind = name.rpartition(".")
    places = {"conv_first": "0", "conv_body": f"1.sub.{blocks}"}
    places |= {f"conv_up{i + 1}": str(3 + 3 * i) for i in range(doublings)}
    places |= {"conv_hr": str(2 + 3 * doublings), "conv_last": str(4 + 3 * doublings)}
    if module in places:
        return f"model.{places[module]}.{kind}"
    _, block, part, layer = module.split(".")
    return f"model.1.sub.{block}.{part.upper()}.{layer}.0.{kind}"


def middle_name(name: str, _blocks: int, _doublings: int) -> str:
    """A name of ours as the files of ESRGAN's own repository have it."""
    words = {"conv_body": "trunk_conv", "conv_up1": "upconv1", "conv_up2": "upconv2", "conv_hr": "HRconv"}
    module, _, kind = name.rpartition(".")
    return f"{words.get(module, module)}.{kind}".replace("body.", "RRDB_trunk.").replace("rdb", "RDB")


@pytest.mark.parametrize(("doublings", "fold"), [(2, 1), (2, 2), (2, 4), (1, 1), (3, 1), (0, 1)])
def test_esrgan_follows_its_paper(doublings: int, fold: int) -> None:
    config = RrdbConfig(channels=8, blocks=2, growth=4, doublings=doublings, unshuffle=fold)
    network, x = randomised(RrdbNet(config)), torch.rand(1, 3, 8, 12)
    with torch.no_grad():
        ours = network(x)
    expected = reference(network.state_dict(), x, blocks=2, doublings=doublings, fold=fold)
    assert ours.shape == expected.shape == (1, 3, 8 * config.scale, 12 * config.scale)
    assert float((ours - expected).norm() / expected.norm()) < 1e-5


def test_folded_networks_take_any_size() -> None:
    network = randomised(RrdbNet(RrdbConfig(channels=8, blocks=1, growth=4, unshuffle=2)))
    with torch.no_grad():
        assert network(torch.rand(1, 3, 7, 5)).shape == (1, 3, 14, 10)


@pytest.mark.parametrize("layout", [old_name, middle_name, lambda name, _b, _d: name])
def test_all_three_layouts_of_names_are_read(layout: object) -> None:
    assert callable(layout)
    state = RrdbNet(SMALL).state_dict()
    names = {name: layout(name, SMALL.blocks, SMALL.doublings) for name in state}
    assert rrdb_names(names.values()) == names


def test_the_published_sizes_are_told_from_the_shapes() -> None:
    for config in (
        RrdbConfig(),  # RealESRGAN_x4plus, ESRGAN
        RrdbConfig(blocks=6),  # RealESRGAN_x4plus_anime_6B
        RrdbConfig(unshuffle=2),  # RealESRGAN_x2plus
    ):
        with torch.device("meta"):
            network = RrdbNet(config)
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        assert rrdb_config(shapes) == config
    with torch.device("meta"):
        assert (
            sum(p.numel() for p in RrdbNet(RrdbConfig()).parameters()) == 16_697_987
        )  # of the published file


def test_the_compact_network_adds_to_the_enlarged_picture() -> None:
    network, x = randomised(CompactNet(6, 2, 4)), torch.rand(1, 3, 5, 4)
    state = network.state_dict()
    h = x
    for place in range(0, 6, 2):
        h = conv(state, f"body.{place}", h)
        h = torch.where(h > 0, h, h * state[f"body.{place + 1}.weight"].reshape(1, -1, 1, 1))
    h = conv(state, "body.6", h)
    pixels = h.reshape(1, 3, 4, 4, 5, 4).permute(0, 1, 4, 2, 5, 3).reshape(1, 3, 20, 16)
    expected = pixels + x.repeat_interleave(4, 2).repeat_interleave(4, 3)
    with torch.no_grad():
        assert torch.allclose(network(x), expected, atol=1e-5)


@pytest.mark.parametrize(("channels", "layers", "scale"), [(64, 32, 4), (64, 16, 4), (8, 1, 2)])
def test_the_compact_networks_shape_is_told_from_its_file(channels: int, layers: int, scale: int) -> None:
    with torch.device("meta"):
        state = CompactNet(channels, layers, scale).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert compact_config(shapes) == (channels, layers, scale)


@pytest.mark.parametrize("shapes", [{}, {"body.0.weight": (8, 3, 3, 3)}, {"conv_first.weight": (8,)}])
def test_other_networks_are_neither(shapes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="no ESRGAN"):
        rrdb_config(shapes)
    with pytest.raises(ValueError, match="no compact"):
        compact_config(shapes)
