"""The denoising U-Net of Stable Diffusion 1, 2 and XL, in all their variants.

One class serves them all; :class:`UNetConfig` says how wide, how deep and where attention is. The
attribute names are those of the original checkpoints, so a state dict needs no translation.

Source: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models";
Podell et al. 2023, "SDXL".
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.networks.deep_features import DeepFeatures
from modules.networks.token_merging import TokenMerge, plan_merge
from modules.networks.upsample import Upsample
from modules.runtime.attention import attention

__all__ = [
    "CrossAttention",
    "Downsample",
    "ResBlock",
    "SpatialTransformer",
    "Stage",
    "UNet",
    "UNetConfig",
    "Upsample",
    "timestep_embedding",
]


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a U-Net. The defaults are those of Stable Diffusion 1.

    Attributes:
        in_channels: latent channels plus those of masks, depth or the picture to edit.
        out_channels: latent channels.
        model_channels: channels at the finest level.
        channel_mult: channels of each level, as multiples of ``model_channels``.
        num_res_blocks: residual blocks a level on the way down; one more on the way up.
        transformer_depth: transformer blocks in each attention layer of each level; 0 is no attention.
        middle_depth: the same for the middle; None leaves only the middle's first residual block.
        context_dim: width of the text conditioning.
        num_heads: attention heads everywhere, unless ``head_channels`` is given.
        head_channels: width of one head; the number of heads then grows with the channels.
        linear_projections: project in and out of attention by matrices instead of 1x1 convolutions.
        adm_channels: width of the vector conditioning; 0 is none.
        groups: groups of every group norm.
        input_depths: depth of each single attention layer on the way down, where a level's differ.
        output_depths: the same on the way up.
    """

    in_channels: int = 4
    out_channels: int = 4
    model_channels: int = 320
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    transformer_depth: tuple[int, ...] = (1, 1, 1, 0)
    middle_depth: int | None = 1
    context_dim: int = 768
    num_heads: int = 8
    head_channels: int | None = None
    linear_projections: bool = False
    adm_channels: int = 0
    groups: int = 32
    input_depths: tuple[int, ...] | None = None
    output_depths: tuple[int, ...] | None = None

    def heads(self, channels: int) -> int:
        """Number of attention heads at a width of ``channels``."""
        return channels // self.head_channels if self.head_channels else self.num_heads

    def depths_down(self) -> tuple[int, ...]:
        """Transformer depth after each residual block on the way down."""
        if self.input_depths is not None:
            return self.input_depths
        return tuple(depth for depth in self.transformer_depth for _ in range(self.num_res_blocks))

    def depths_up(self) -> tuple[int, ...]:
        """Transformer depth after each residual block on the way up."""
        if self.output_depths is not None:
            return self.output_depths
        levels = reversed(self.transformer_depth)
        return tuple(depth for depth in levels for _ in range(self.num_res_blocks + 1))


def timestep_embedding(timesteps: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding, cosines first.

    Args:
        timesteps: (B,), 0..999, may be fractional; any numbers for sizes and scores.
        width: even number of features.

    Returns:
        (B, width) float32.

    Source: Vaswani et al. 2017, section 3.5, with the halves swapped as in Ho et al. 2020's code.
    """
    half = width // 2
    exponents = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    angles = timesteps[:, None].float() * exponents.exp()[None]  # B half
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ResBlock(nn.Module):
    """Two convolutions around the sum with the time embedding, and a residual path."""

    def __init__(self, channels: int, out_channels: int, embedding_width: int, groups: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding_width, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(groups, out_channels),
            nn.SiLU(),
            nn.Identity(),  # the original's dropout; it keeps the next layer's number
            _zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
        )
        same = channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, h, w) and (B, E) to (B, C', h, w)."""
        # sums go into what a convolution has just made, which nothing else needs: memory is not touched twice
        h = self.in_layers(x).add_(self.emb_layers(embedding)[:, :, None, None])  # B C' h w
        out: Tensor = self.out_layers(h).add_(self.skip_connection(x))
        return out


class CrossAttention(nn.Module):
    """Multi-head attention of a sequence to a context, or to itself."""

    def __init__(self, width: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_dim, width, bias=False)
        self.to_v = nn.Linear(context_dim, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Identity())  # [1]: the original's dropout

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(B, N, W) and (B, T, D) to (B, N, W)."""
        q = self.to_q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # B H N W/H
        k = self.to_k(context).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # B H T W/H
        v = self.to_v(context).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        out: Tensor = self.to_out(attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class GatedGelu(nn.Module):
    """A linear layer whose second half gates the first. Source: Shazeer 2020, "GLU Variants"."""

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * out_width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, W) to (B, N, W')."""
        values, gate = self.proj(x).chunk(2, dim=-1)
        out: Tensor = values * F.gelu(gate)
        return out


class FeedForward(nn.Module):
    """Per-position perceptron, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # [1] is the place of the original's dropout
        self.net = nn.Sequential(GatedGelu(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, W) to (B, N, W)."""
        out: Tensor = self.net(x)
        return out


class TransformerBlock(nn.Module):
    """Self-attention, attention to the text, perceptron; each added to its input."""

    def __init__(self, width: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(width, width, heads)
        self.ff = FeedForward(width)
        self.attn2 = CrossAttention(width, context_dim, heads)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, context: Tensor, merge: TokenMerge | None = None) -> Tensor:
        """(B, N, W) and (B, T, D) to (B, N, W); ``merge`` shortens self-attention."""
        h = self.norm1(x)
        if merge is None:
            x = self.attn1(h, h).add_(x)
        else:
            h = merge.merge(h)
            x = x + merge.unmerge(self.attn1(h, h))
        x = self.attn2(self.norm2(x), context).add_(x)
        out: Tensor = self.ff(self.norm3(x)).add_(x)
        return out


class SpatialTransformer(nn.Module):
    """Transformer blocks over the cells of a feature map, added to it."""

    def __init__(self, channels: int, depth: int, config: UNetConfig) -> None:
        super().__init__()
        self.linear = config.linear_projections
        # the checkpoints were trained with 1e-6 here and with 1e-5 in the residual blocks
        self.norm = nn.GroupNorm(config.groups, channels, eps=1e-6)
        self.proj_in = self._projection(channels)
        heads = config.heads(channels)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(channels, config.context_dim, heads) for _ in range(depth)
        )
        self.proj_out = _zeroed(self._projection(channels))

    def _projection(self, channels: int) -> nn.Module:
        return nn.Linear(channels, channels) if self.linear else nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, context: Tensor, token_merging: float = 0.0) -> Tensor:
        """(B, C, h, w) and (B, T, D) to (B, C, h, w), with that part of the tokens merged."""
        height, width = x.shape[2:]
        h = self.norm(x)
        if not self.linear:
            h = self.proj_in(h)
        h = h.flatten(2).transpose(1, 2)  # B h*w C
        if self.linear:
            h = self.proj_in(h)
        for block in self.transformer_blocks:
            h = block(h, context, plan_merge(h, height, width, token_merging) if token_merging else None)
        if self.linear:
            h = self.proj_out(h)
        h = h.transpose(1, 2).unflatten(2, (height, -1))  # B C h w
        if not self.linear:
            h = self.proj_out(h)
        out: Tensor = h.add_(x)
        return out


class Downsample(nn.Module):
    """Halve the sides by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C, ceil(h/2), ceil(w/2))."""
        out: Tensor = self.op(x)
        return out


class Stage(nn.ModuleList):
    """Layers in a row; each is given what it needs of embedding and context."""

    def forward(self, x: Tensor, embedding: Tensor, context: Tensor, token_merging: float = 0.0) -> Tensor:
        """(B, C, h, w), (B, E) and (B, T, D) to (B, C', h', w')."""
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, embedding)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context, token_merging)
            else:
                x = layer(x)
        return x


class UNet(nn.Module):
    """Predicts the noise (or v) in a noisy latent, given the timestep and the text."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.model_channels
        embedding = 4 * width
        self.time_embed = _perceptron(width, embedding)
        if config.adm_channels:
            self.label_emb = nn.Sequential(_perceptron(config.adm_channels, embedding))
        self.input_blocks, skips = self._way_down()
        self.middle_block = self._middle(skips[-1])
        self.output_blocks = self._way_up(skips)
        self.out = nn.Sequential(
            nn.GroupNorm(config.groups, width * config.channel_mult[0]),
            nn.SiLU(),
            _zeroed(nn.Conv2d(width * config.channel_mult[0], config.out_channels, 3, padding=1)),
        )

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        *,
        token_merging: float = 0.0,
        deep: DeepFeatures | None = None,
    ) -> Tensor:
        """One evaluation of the network.

        Args:
            x: scaled noisy latent with any extra channels behind it, (B, Cin, h, w), any h and w.
            timesteps: (B,), 0..999, may be fractional; each row has its own.
            context: text conditioning, (B, T, D).
            y: vector conditioning, (B, A), for networks that have one.
            token_merging: part of the tokens that self-attention at the finest level does without, 0..1.
            deep: what an earlier step computed below the outermost blocks, or where to keep it.

        Returns:
            The prediction, (B, C, h, w).
        """
        embedded = timestep_embedding(timesteps, self.config.model_channels).to(x.dtype)
        embedding = self.time_embed(embedded)  # B E
        if self.config.adm_channels:
            embedding = embedding + self.label_emb(y)

        def run(stage: nn.Module, h: Tensor) -> Tensor:
            out: Tensor = stage(h, embedding, context, token_merging if h.shape[2:] == x.shape[2:] else 0.0)
            return out

        first, *inner_down = self.input_blocks
        *inner_up, last = self.output_blocks
        outermost = h = run(first, x)
        if deep is not None and deep.values is not None:
            h = deep.values.to(h.dtype)
        else:
            skips = []
            for stage in inner_down:
                h = run(stage, h)
                skips.append(h)
            h = run(self.middle_block, h)
            for stage in inner_up:
                h = run(stage, _join(h, skips.pop()))
            if deep is not None:
                deep.values = h
        out: Tensor = self.out(run(last, _join(h, outermost)))
        return out

    def layers_in_order(self) -> Iterator[nn.Module]:
        """Parts that together hold all weights, in the order in which they are called."""
        yield self.time_embed
        if self.config.adm_channels:
            yield self.label_emb
        for stage in (*self.input_blocks, self.middle_block, *self.output_blocks):
            for layer in stage.children():
                if isinstance(layer, SpatialTransformer):
                    yield from (layer.norm, layer.proj_in, *layer.transformer_blocks, layer.proj_out)
                else:
                    yield layer
        yield self.out

    def _residual(self, channels: int, out_channels: int) -> ResBlock:
        return ResBlock(channels, out_channels, 4 * self.config.model_channels, self.config.groups)

    def _way_down(self) -> tuple[nn.ModuleList, list[int]]:
        config = self.config
        depths = iter(config.depths_down())
        channels = config.model_channels
        stages = nn.ModuleList([Stage([nn.Conv2d(config.in_channels, channels, 3, padding=1)])])
        skips = [channels]
        for level, factor in enumerate(config.channel_mult):
            for _ in range(config.num_res_blocks):
                stage = Stage([self._residual(channels, factor * config.model_channels)])
                channels = factor * config.model_channels
                if depth := next(depths):
                    stage.append(SpatialTransformer(channels, depth, config))
                stages.append(stage)
                skips.append(channels)
            if level < len(config.channel_mult) - 1:
                stages.append(Stage([Downsample(channels)]))
                skips.append(channels)
        return stages, skips

    def _middle(self, channels: int) -> Stage:
        stage = Stage([self._residual(channels, channels)])
        if self.config.middle_depth is not None:
            stage.append(SpatialTransformer(channels, self.config.middle_depth, self.config))
            stage.append(self._residual(channels, channels))
        return stage

    def _way_up(self, skips: list[int]) -> nn.ModuleList:
        config = self.config
        depths = iter(config.depths_up())
        channels = skips[-1]
        remaining = list(skips)
        stages = nn.ModuleList()
        for level, factor in reversed(list(enumerate(config.channel_mult))):
            for index in range(config.num_res_blocks + 1):
                stage = Stage([self._residual(channels + remaining.pop(), factor * config.model_channels)])
                channels = factor * config.model_channels
                if depth := next(depths):
                    stage.append(SpatialTransformer(channels, depth, config))
                if level and index == config.num_res_blocks:
                    stage.append(Upsample(channels))
                stages.append(stage)
        return stages


def _join(h: Tensor, skip: Tensor) -> Tensor:
    if h.shape[-2:] != skip.shape[-2:]:  # a side was odd on the way down
        h = F.interpolate(h, size=skip.shape[-2:], mode="nearest")
    return torch.cat([h, skip], dim=1)


def _perceptron(width: int, out_width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, out_width), nn.SiLU(), nn.Linear(out_width, out_width))


def _zeroed(module: nn.Module) -> nn.Module:
    """Let a branch start at zero, so that a new network begins as the identity."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module
