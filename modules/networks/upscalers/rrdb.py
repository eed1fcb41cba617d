"""ESRGAN and Real-ESRGAN: residual-in-residual dense blocks, then doublings.

Parameter names are those of Real-ESRGAN's files; the two older layouts are renamed by :func:`rrdb_names`.

Source: Wang et al. 2018, "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks"; Wang et al.
2021, "Real-ESRGAN".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["RrdbConfig", "RrdbNet", "rrdb_config", "rrdb_names"]

RESIDUAL = 0.2  # of each block's output that is added to its input
SLOPE = 0.2  # of the leaky rectifiers
_DENSE = re.compile(
    r"(?:model\.1\.sub|RRDB_trunk|body)\.(\d+)\.(?:RDB|rdb)([123])\.conv([1-5])(?:\.0)?\.(weight|bias)"
)
_SECOND_LAYOUT = {
    "trunk_conv": "conv_body",
    "upconv1": "conv_up1",
    "upconv2": "conv_up2",
    "HRconv": "conv_hr",
}


@dataclass(frozen=True)
class RrdbConfig:
    """Shape of an :class:`RrdbNet`.

    Attributes:
        channels: of the trunk.
        blocks: number of residual-in-residual blocks.
        growth: channels that each dense layer adds.
        doublings: how often the trunk's result is doubled.
        unshuffle: the picture is folded into channels by this side before; it works at fewer pixels.
    """

    channels: int = 64
    blocks: int = 23
    growth: int = 32
    doublings: int = 2
    unshuffle: int = 1

    @property
    def scale(self) -> int:
        """Pixels out for a pixel in, along one side."""
        return int(2**self.doublings) // self.unshuffle


class DenseBlock(nn.Module):
    """Five convolutions, each seeing the outputs of all before it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        for number in range(5):
            out = channels if number == 4 else growth
            self.add_module(f"conv{number + 1}", nn.Conv2d(channels + number * growth, out, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        seen = [x]
        *layers, last = self.children()
        for layer in layers:
            seen.append(F.leaky_relu(layer(torch.cat(seen, 1)), SLOPE))
        return last(torch.cat(seen, 1)) * RESIDUAL + x


class ResidualBlock(nn.Module):
    """Three dense blocks around which the input is added."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(channels, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return self.rdb3(self.rdb2(self.rdb1(x))) * RESIDUAL + x


class RrdbNet(nn.Module):
    """The whole generator."""

    def __init__(self, config: RrdbConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.conv_first = _conv(3 * config.unshuffle**2, channels)
        self.body = nn.Sequential(*(ResidualBlock(channels, config.growth) for _ in range(config.blocks)))
        self.conv_body = _conv(channels, channels)
        for number in range(config.doublings):
            self.add_module(f"conv_up{number + 1}", _conv(channels, channels))
        self.conv_hr = _conv(channels, channels)
        self.conv_last = _conv(channels, 3)

    @property
    def scale(self) -> int:
        """See :attr:`RrdbConfig.scale`."""
        return self.config.scale

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1 to (B, 3, s * H, s * W), about 0..1; any size."""
        height, width = x.shape[-2:]
        side = self.config.unshuffle
        if side > 1:
            x = F.pixel_unshuffle(_padded(x, side), side)
        h = self.conv_first(x)
        h = h + self.conv_body(self.body(h))
        for number in range(self.config.doublings):
            h = F.interpolate(h, scale_factor=2)
            h = F.leaky_relu(self.get_submodule(f"conv_up{number + 1}")(h), SLOPE)
        out: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(h), SLOPE))
        return out[..., : height * self.scale, : width * self.scale]


def rrdb_names(names: Iterable[str]) -> dict[str, str]:
    """Our parameter name -> name in the file, for any of the three layouts; empty if it is none."""
    known = set(names)
    renamed: dict[str, str] = {}
    for name in known:
        dense = _DENSE.fullmatch(name)
        if dense is not None:
            block, part, layer, kind = dense.groups()
            renamed[f"body.{block}.rdb{part}.conv{layer}.{kind}"] = name
    if not renamed:
        return {}
    outside = [name for name in known if name not in set(renamed.values())]
    if "model.0.weight" in known:
        return renamed | _first_layout(outside)
    for name in outside:
        module, _, kind = name.rpartition(".")
        renamed[f"{_SECOND_LAYOUT.get(module, module)}.{kind}"] = name
    return renamed


def rrdb_config(shapes: Mapping[str, tuple[int, ...]]) -> RrdbConfig:
    """Read a network's shape from its parameters' shapes, by our names.

    Raises:
        ValueError: it is another network.
    """
    try:
        channels, inputs = shapes["conv_first.weight"][:2]
        growth = shapes["body.0.rdb1.conv1.weight"][0]
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError("it is no ESRGAN") from error
    blocks = len({name.split(".")[1] for name in shapes if name.startswith("body.")})
    doublings = sum(name.startswith("conv_up") and name.endswith(".weight") for name in shapes)
    unshuffle = {3: 1, 12: 2, 48: 4}.get(inputs)
    if unshuffle is None or doublings > 4 or 2**doublings < unshuffle:
        raise ValueError(f"it takes {inputs} channels and doubles {doublings} times")
    return RrdbConfig(channels, blocks, growth, doublings, unshuffle)


def _first_layout(names: Iterable[str]) -> dict[str, str]:
    """ESRGAN's first files number their layers through: 3, 6 ... double, two more follow."""
    trunk = {name for name in names if name.startswith("model.1.sub.")}
    numbered = sorted(
        {int(name.split(".")[1]) for name in names if name not in trunk and name.startswith("model.")} - {0}
    )
    modules = {"model.0": "conv_first"} | {name.rpartition(".")[0]: "conv_body" for name in trunk}
    if len(numbered) < 2:
        return {}
    *doublings, second_last, last = numbered
    modules |= {f"model.{place}": f"conv_up{i + 1}" for i, place in enumerate(doublings)}
    modules |= {f"model.{second_last}": "conv_hr", f"model.{last}": "conv_last"}
    found = {}
    for name in names:
        module, _, kind = name.rpartition(".")
        if module in modules:
            found[f"{modules[module]}.{kind}"] = name
    return found


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _padded(x: Tensor, side: int) -> Tensor:
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % side, 0, -height % side), mode="replicate")
