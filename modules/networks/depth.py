"""DPT-Hybrid: how far away each pixel of a picture is, for checkpoints that are guided by depth.

A small convolutional network sees detail, a transformer over its cells sees the whole; four of their states
are joined from coarse to fine. The attribute names are those of the original weights, which lie inside Stable
Diffusion 2's depth checkpoint.

Source: Ranftl et al. 2021, "Vision Transformers for Dense Prediction", section 3; Kolesnikov et al. 2020,
"Big Transfer", section 3.1 (weight standardisation, group norm).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.runtime.attention import attention

__all__ = ["SIDE", "DepthConfig", "DepthEstimator", "depth_input"]

SIDE = 384  # pixels: what the network was trained at
CELL = 32  # pixels: sides are multiples of this
PATCH = 16  # pixels a token, along one side
GROUPS = 32


@dataclass(frozen=True)
class DepthConfig:
    """Shape of the network. The defaults are those of ``dpt_hybrid-midas``.

    Attributes:
        stem: channels after the first convolution.
        stages: channels after each stage of the convolutional part.
        blocks: residual blocks in each stage.
        width: features of a token.
        layers: transformer layers.
        heads: attention heads.
        mlp_width: features inside the perceptrons.
        taps: transformer layers whose output is used, counted from 0.
        grid: tokens along one side of the table of positions.
        joined: channels of the two transformer states before they are joined with the others.
        fusion: channels while they are joined.
    """

    stem: int = 64
    stages: tuple[int, int, int] = (256, 512, 1024)
    blocks: tuple[int, int, int] = (3, 4, 9)
    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_width: int = 3072
    taps: tuple[int, int] = (8, 11)
    grid: int = 24
    joined: tuple[int, int] = (768, 768)
    fusion: int = 256


def depth_input(pixels: Tensor) -> Tensor:
    """A picture as the network wants it: one side near 384, values as they were in training.

    Args:
        pixels: (B, 3, H, W) in [-1, 1].

    Returns:
        (B, 3, H', W'), sides multiples of 32. The side that is nearer to 384 decides the scale.
    """
    height, width = pixels.shape[-2:]
    by_height, by_width = SIDE / height, SIDE / width
    scale = by_width if abs(1 - by_width) < abs(1 - by_height) else by_height
    size = [max(CELL, round(scale * side / CELL) * CELL) for side in (height, width)]
    return F.interpolate(pixels, size=size, mode="bicubic", align_corners=False)


class StandardConv(nn.Conv2d):
    """A convolution whose filters are standardised, padded so that a stride of s gives ceil(side / s)."""

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, out_channels, kernel, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C', ceil(h/s), ceil(w/s))."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) * torch.rsqrt(variance + 1e-8)
        return F.conv2d(_padded(x, self.kernel_size[0], self.stride[0]), weight, stride=self.stride)


class Downsample(nn.Module):
    """The residual path where channels or size change."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv = StandardConv(channels, out_channels, 1, stride)
        self.norm = nn.GroupNorm(GROUPS, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C', h/s, w/s)."""
        out: Tensor = self.norm(self.conv(x))
        return out


class Bottleneck(nn.Module):
    """Three convolutions, the middle one on a quarter of the channels, around a residual path."""

    def __init__(self, channels: int, out_channels: int, stride: int, *, first: bool) -> None:
        super().__init__()
        inner = out_channels // 4
        if first:
            self.downsample = Downsample(channels, out_channels, stride)
        self.first = first
        self.conv1, self.norm1 = StandardConv(channels, inner, 1), nn.GroupNorm(GROUPS, inner)
        self.conv2, self.norm2 = StandardConv(inner, inner, 3, stride), nn.GroupNorm(GROUPS, inner)
        self.conv3, self.norm3 = StandardConv(inner, out_channels, 1), nn.GroupNorm(GROUPS, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C', h/s, w/s)."""
        h = F.relu(self.norm1(self.conv1(x)))
        h = F.relu(self.norm2(self.conv2(h)))
        return F.relu(self.norm3(self.conv3(h)) + (self.downsample(x) if self.first else x))


class Stem(nn.Module):
    """From pixels to a quarter of the side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = StandardConv(3, channels, 7, 2)
        self.norm = nn.GroupNorm(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, C, H/4, W/4)."""
        h = F.relu(self.norm(self.conv(x)))
        return F.max_pool2d(_padded(h, 3, 2), 3, stride=2)  # zeros are below nothing after a ReLU


class Stage(nn.Module):
    """Residual blocks at one size."""

    def __init__(self, channels: int, out_channels: int, count: int, stride: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            Bottleneck(channels, out_channels, stride, first=True),
            *(Bottleneck(out_channels, out_channels, 1, first=False) for _ in range(count - 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C', h/s, w/s)."""
        out: Tensor = self.blocks(x)
        return out


class Backbone(nn.Module):
    """The convolutional part."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.stem = Stem(config.stem)
        widths = (config.stem, *config.stages)
        self.stages = nn.ModuleList(
            Stage(widths[i], widths[i + 1], config.blocks[i], 1 if i == 0 else 2) for i in range(3)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to the states at a quarter, an eighth and a sixteenth of the side."""
        states, h = [], self.stem(x)
        for stage in self.stages:
            h = stage(h)
            states.append(h)
        return states


class PatchEmbed(nn.Module):
    """From the convolutional part's last cells to tokens."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.backbone = Backbone(config)
        self.proj = nn.Conv2d(config.stages[-1], config.width, 1)


class SelfAttention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, W) to the same."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each B H N W/H
        out: Tensor = self.proj(attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Per-token perceptron."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, W) to the same."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Layer(nn.Module):
    """Attention and perceptron, each after a layer norm and added to its input."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)  # as vision transformers were trained
        self.attn = SelfAttention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = Mlp(config.width, config.mlp_width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, W) to the same."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class VisionTransformer(nn.Module):
    """Convolutional part and transformer."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.taps = config.taps
        self.patch_embed = PatchEmbed(config)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, config.width))
        self.blocks = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, 3, H, W) to two feature maps and two sequences of tokens, the whole picture's token first."""
        fine, middle, coarse = self.patch_embed.backbone(x)
        cells = self.patch_embed.proj(coarse)  # B W h w
        tokens = cells.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1) + self._positions(cells)
        states = []
        for layer in self.blocks:
            tokens = layer(tokens)
            states.append(tokens)
        return [fine, middle], [states[tap] for tap in self.taps]

    def _positions(self, cells: Tensor) -> Tensor:
        """The table of positions for a grid of another size."""
        whole, table = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        side = int(table.shape[1] ** 0.5)
        square = table.transpose(1, 2).unflatten(2, (side, side))  # 1 W side side
        resized = F.interpolate(square, size=cells.shape[-2:], mode="bilinear", align_corners=False)
        return torch.cat([whole, resized.flatten(2).transpose(1, 2)], dim=1)


class Readout(nn.Module):
    """Tell every token what the whole picture's token knows."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(2 * width, width), nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, 1 + N, W) to (B, N, W)."""
        cells = tokens[:, 1:]
        out: Tensor = self.project(torch.cat([cells, tokens[:, :1].expand_as(cells)], dim=-1))
        return out


class Pretrained(nn.Module):
    """What was trained on other pictures, and how its tokens become feature maps again."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.model = VisionTransformer(config)
        # [1] and [2] are the places of the original's transposition and unfolding
        self.act_postprocess3 = nn.Sequential(
            Readout(config.width), nn.Identity(), nn.Identity(), nn.Conv2d(config.width, config.joined[0], 1)
        )
        self.act_postprocess4 = nn.Sequential(
            Readout(config.width),
            nn.Identity(),
            nn.Identity(),
            nn.Conv2d(config.width, config.joined[1], 1),
            nn.Conv2d(config.joined[1], config.joined[1], 3, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to feature maps at a quarter to a thirty-second of the side."""
        maps, sequences = self.model(x)
        grid = (x.shape[2] // PATCH, x.shape[3] // PATCH)
        for tokens, process in zip(sequences, (self.act_postprocess3, self.act_postprocess4), strict=True):
            cells = process[0](tokens).transpose(1, 2).unflatten(2, grid)  # B W h w
            maps.append(process[1:](cells))
        return maps


class ResidualUnit(nn.Module):
    """Two convolutions, each after a ReLU, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        out: Tensor = x + self.conv2(F.relu(self.conv1(F.relu(x))))
        return out


class Fusion(nn.Module):
    """Add a finer map to what came from the coarser ones, and double the side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(channels, channels, 1)
        self.resConfUnit1 = ResidualUnit(channels)
        self.resConfUnit2 = ResidualUnit(channels)

    def forward(self, finer: Tensor, coarser: Tensor | None) -> Tensor:
        """(B, C, h, w) twice to (B, C, 2h, 2w); the coarsest map comes alone."""
        h = finer if coarser is None else coarser + self.resConfUnit1(finer)
        out: Tensor = self.out_conv(_doubled(self.resConfUnit2(h)))
        return out


class Scratch(nn.Module):
    """What joins the feature maps and reads the depth off them."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        widths = (*config.stages[:2], *config.joined)
        for i, width in enumerate(widths, start=1):
            self.add_module(f"layer{i}_rn", nn.Conv2d(width, config.fusion, 3, padding=1, bias=False))
            self.add_module(f"refinenet{i}", Fusion(config.fusion))
        self.output_conv = nn.Sequential(
            nn.Conv2d(config.fusion, config.fusion // 2, 3, padding=1),
            nn.Identity(),  # the place of the original's enlargement
            nn.Conv2d(config.fusion // 2, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 1),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Feature maps, finest first, to (B, 1, H, W)."""
        joined: Tensor | None = None
        for i in range(len(maps), 0, -1):
            finer = self.get_submodule(f"layer{i}_rn")(maps[i - 1])
            joined = self.get_submodule(f"refinenet{i}")(finer, joined)
        if joined is None:
            raise ValueError("there are no feature maps to join")
        return F.relu(self.output_conv[2:](_doubled(self.output_conv[0](joined))))


class DepthEstimator(nn.Module):
    """Relative depth of a picture; see the module's docstring."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.config = config
        self.pretrained = Pretrained(config)
        self.scratch = Scratch(config)

    def forward(self, pixels: Tensor) -> Tensor:
        """Estimate.

        Args:
            pixels: from :func:`depth_input`, (B, 3, H, W), sides multiples of 32.

        Returns:
            (B, 1, H, W), 0 or more, larger is nearer; scale and origin differ from picture to picture.
        """
        out: Tensor = self.scratch(self.pretrained(pixels))
        return out


def _padded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around ``x`` so that every stride-th cell has a window, the odd one at the far side."""
    height, width = x.shape[-2:]
    down, across = (max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in (height, width))
    return F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
