"""The autoencoder between pictures and latents, eight times smaller a side.

The attribute names are those of the original checkpoints below ``first_stage_model.``.

Source: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", appendix G.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from modules.networks.shared_norm import GroupNorm
from modules.networks.upsample import Upsample
from modules.runtime.attention import attention

__all__ = ["AutoencoderKL", "Decoder", "Encoder", "VaeConfig"]

_LOGVAR_RANGE = (-30.0, 20.0)  # the original's clamp; keeps exp() finite in float32


@dataclass(frozen=True)
class VaeConfig:
    """Shape of an autoencoder. The defaults are those of all Stable Diffusion families.

    Attributes:
        channels: channels at the finest level.
        channel_mult: channels of each level, as multiples of ``channels``; one less halving than levels.
        num_res_blocks: residual blocks a level in the encoder; one more in the decoder.
        latent_channels: channels of the latent.
        groups: groups of every group norm.
    """

    channels: int = 128
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    latent_channels: int = 4
    groups: int = 32

    @property
    def factor(self) -> int:
        """Pixels a latent cell, along one side."""
        return int(2 ** (len(self.channel_mult) - 1))

    @property
    def fine_levels(self) -> int:
        """Levels that need much memory; the others need an eighth of it together, whatever the size."""
        return min(3, len(self.channel_mult) - 1)

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return tuple(self.channels * factor for factor in self.channel_mult)


class ResnetBlock(nn.Module):
    """Two convolutions and a residual path."""

    def __init__(self, channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = _norm(groups, channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm2 = _norm(groups, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if channels != out_channels:
            self.nin_shortcut = nn.Conv2d(channels, out_channels, 1)
        self._same = channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        out: Tensor = h.add_(x if self._same else self.nin_shortcut(x))  # nothing else needs what h was
        return out


class AttnBlock(nn.Module):
    """Self-attention with one head over all positions."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = _norm(groups, channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        h = self.norm(x)
        q, k, v = (_as_sequence(layer(h)) for layer in (self.q, self.k, self.v))  # B 1 H*W C
        h = attention(q, k, v).squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:])
        out: Tensor = self.proj_out(h).add_(x)
        return out


class Middle(nn.Module):
    """Residual block, attention, residual block at the coarsest level."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels, groups)
        self.attn_1 = AttnBlock(channels, groups)
        self.block_2 = ResnetBlock(channels, channels, groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class Downsample(nn.Module):
    """Halve the sides by a strided convolution, padded at the right and bottom only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H/2, W/2)."""
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class EncoderLevel(nn.Module):
    """Residual blocks of one resolution and the way to the next coarser."""

    def __init__(self, channels: int, out_channels: int, config: VaeConfig, *, coarsest: bool) -> None:
        super().__init__()
        self.block = _blocks(channels, out_channels, config.num_res_blocks, config.groups)
        if not coarsest:
            self.downsample = Downsample(out_channels)
        self._coarsest = coarsest

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H/2, W/2), or (B, C', H, W) at the coarsest level."""
        for block in self.block:
            x = block(x)
        return x if self._coarsest else self.downsample(x)


class DecoderLevel(nn.Module):
    """Residual blocks of one resolution and the way to the next finer."""

    def __init__(self, channels: int, out_channels: int, config: VaeConfig, *, finest: bool) -> None:
        super().__init__()
        self.block = _blocks(channels, out_channels, config.num_res_blocks + 1, config.groups)
        if not finest:
            self.upsample = Upsample(out_channels)
        self._finest = finest

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', 2H, 2W), or (B, C', H, W) at the finest level."""
        for block in self.block:
            x = block(x)
        return x if self._finest else self.upsample(x)


class Encoder(nn.Module):
    """Pictures to the moments of a Gaussian over latents."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = config.level_channels
        self.fine_levels = config.fine_levels
        self.conv_in = nn.Conv2d(3, config.channels, 3, padding=1)
        self.down = nn.ModuleList()
        channels = config.channels
        for level, width in enumerate(widths):
            self.down.append(EncoderLevel(channels, width, config, coarsest=level == len(widths) - 1))
            channels = width
        self.mid = Middle(channels, config.groups)
        self.norm_out = _norm(config.groups, channels)
        self.conv_out = nn.Conv2d(channels, 2 * config.latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in -1..1 to (B, 2Z, H/f, W/f)."""
        return self.coarse(self.fine(x))

    def fine(self, x: Tensor) -> Tensor:
        """The large levels, which see only what is near: (B, 3, H, W) to (B, C, p*H/f, p*W/f)."""
        h: Tensor = self.conv_in(x)
        for level in self.down[: self.fine_levels]:
            h = level(h)
        return h

    def coarse(self, h: Tensor) -> Tensor:
        """The rest, which sees the whole picture: (B, C, p*H/f, p*W/f) to (B, 2Z, H/f, W/f)."""
        for level in self.down[self.fine_levels :]:
            h = level(h)
        out: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(h))))
        return out


class Decoder(nn.Module):
    """Latents to pictures."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = config.level_channels
        self.fine_levels = config.fine_levels
        self.conv_in = nn.Conv2d(config.latent_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], config.groups)
        coarser = (*widths[1:], widths[-1])
        self.up = nn.ModuleList(
            DecoderLevel(before, width, config, finest=level == 0)
            for level, (before, width) in enumerate(zip(coarser, widths, strict=True))
        )
        self.norm_out = _norm(config.groups, widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """(B, Z, h, w) to (B, 3, h*f, w*f), about -1..1."""
        return self.fine(self.coarse(z))

    def coarse(self, z: Tensor) -> Tensor:
        """The small part, which sees the whole picture: (B, Z, h, w) to (B, C, p*h, p*w)."""
        h: Tensor = self.mid(self.conv_in(z))
        for level in reversed(self.up[self.fine_levels :]):
            h = level(h)
        return h

    def fine(self, h: Tensor) -> Tensor:
        """The large levels, which see only what is near: (B, C, p*h, p*w) to (B, 3, h*f, w*f)."""
        for level in reversed(self.up[: self.fine_levels]):
            h = level(h)
        h = F.silu(self.norm_out(h))
        # in 16 bits values near 1 would be a grey level apart, so this layer alone may be kept in 32
        out: Tensor = self.conv_out(h.to(self.conv_out.weight.dtype))
        return out


class AutoencoderKL(nn.Module):
    """Variational autoencoder; its latents are unscaled (the family's factor is applied outside)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.latent_channels
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.post_quant_conv = nn.Conv2d(channels, channels, 1)

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Moments of the posterior.

        Args:
            pixels: (B, 3, H, W) in -1..1, sides a multiple of :attr:`VaeConfig.factor`.

        Returns:
            Mean and log variance, each (B, Z, H/f, W/f); the log variance lies in -30..20.
        """
        return self.moments(self.encoder(pixels))

    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's output (B, 2Z, h, w) as mean and log variance, each (B, Z, h, w)."""
        mean, logvar = self.quant_conv(h).chunk(2, dim=1)
        return mean, logvar.clamp(*_LOGVAR_RANGE)

    def decode(self, z: Tensor) -> Tensor:
        """Unscaled latents (B, Z, h, w) to pictures (B, 3, h*f, w*f), about -1..1, not clamped."""
        out: Tensor = self.decoder(self.post_quant_conv(z))
        return out


def _norm(groups: int, channels: int) -> GroupNorm:
    return GroupNorm(groups, channels, eps=1e-6)  # the checkpoints were trained so


def _blocks(channels: int, out_channels: int, count: int, groups: int) -> nn.ModuleList:
    widths = [channels] + [out_channels] * (count - 1)
    return nn.ModuleList(ResnetBlock(width, out_channels, groups) for width in widths)


def _as_sequence(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2).unsqueeze(1)  # B 1 H*W C
