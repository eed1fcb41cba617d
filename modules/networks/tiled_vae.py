"""An autoencoder piece by piece, for devices that cannot hold a large picture's finest levels.

The middle, with its attention over all positions, and the coarsest level are small and are run on the whole
picture. The other levels see only what is near, so they are run tile by tile, each with a margin as wide as
they can see. What they do see of the whole are the statistics of their group norms; these are measured on a
smaller version of the picture and shared by all tiles. Tiles then agree where they meet, but for rounding:
there is nothing to blend. The whole comes out within about half a grey level of an undivided one.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from modules.networks.shared_norm import NormStatistics
from modules.networks.vae import AutoencoderKL

__all__ = ["decode_in_tiles", "encode_in_tiles", "measured_statistics"]


@dataclass(frozen=True)
class _Span:
    """One tile along one side, in latent cells: what is kept, and what is looked at for it."""

    start: int
    stop: int
    seen_from: int
    seen_to: int

    def seen(self, scale: int) -> slice:
        """What is looked at, at ``scale`` positions a cell."""
        return slice(self.seen_from * scale, self.seen_to * scale)

    def kept(self, scale: int) -> slice:
        """What is kept of what came out of that."""
        return slice((self.start - self.seen_from) * scale, (self.stop - self.seen_from) * scale)

    def place(self, scale: int) -> slice:
        """Where that goes."""
        return slice(self.start * scale, self.stop * scale)


def decode_in_tiles(vae: AutoencoderKL, z: Tensor, tile: int, *, is_wrapped: bool = False) -> Tensor:
    """Unscaled latents (B, Z, h, w) to pictures (B, 3, h*f, w*f) on the CPU.

    Args:
        vae: the autoencoder.
        z: the latents.
        tile: side of a tile in latent cells.
        is_wrapped: of a picture that is to fit at its edges, ``z`` holds what lies beyond them too.
    """
    if len(z) > 1:  # each picture has statistics of its own
        return torch.cat([decode_in_tiles(vae, row[None], tile) for row in z])
    decoder, factor = vae.decoder, vae.config.factor
    if decoder.conv_in.padding_mode == "circular" and not is_wrapped:  # opposite edges must fit
        around = _margin(vae)
        larger = F.pad(z, (around, around, around, around), mode="circular")
        cut = slice(around * factor, -around * factor)
        return decode_in_tiles(vae, larger, tile, is_wrapped=True)[:, :, cut, cut]
    h = decoder.coarse(vae.post_quant_conv(z))
    grain = h.shape[2] // z.shape[2]  # positions a latent cell
    statistics = measured_statistics(decoder.fine, h, _seen(vae, tile) * grain)
    out = torch.empty(len(z), 3, z.shape[2] * factor, z.shape[3] * factor, dtype=z.dtype)
    for rows, columns in _tiles(vae, z.shape[2], z.shape[3], tile):
        with statistics.in_force():
            piece = decoder.fine(h[:, :, rows.seen(grain), columns.seen(grain)])
        out[:, :, rows.place(factor), columns.place(factor)] = piece[
            :, :, rows.kept(factor), columns.kept(factor)
        ].to(out)
    return out


def encode_in_tiles(vae: AutoencoderKL, pixels: Tensor, tile: int) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, H, W) to mean and log variance, each (B, Z, H/f, W/f).

    Args:
        vae: the autoencoder.
        pixels: the pictures, -1..1.
        tile: side of a tile in latent cells.
    """
    if len(pixels) > 1:  # each picture has statistics of its own
        means, logvars = zip(*(encode_in_tiles(vae, row[None], tile) for row in pixels), strict=True)
        return torch.cat(means), torch.cat(logvars)
    encoder, factor = vae.encoder, vae.config.factor
    height, width = pixels.shape[2] // factor, pixels.shape[3] // factor
    statistics = measured_statistics(encoder.fine, pixels, _seen(vae, tile) * factor)
    h: Tensor | None = None
    for rows, columns in _tiles(vae, height, width, tile):
        with statistics.in_force():
            piece = encoder.fine(pixels[:, :, rows.seen(factor), columns.seen(factor)])
        grain = piece.shape[2] // (rows.seen_to - rows.seen_from)
        if h is None:
            h = piece.new_empty(*piece.shape[:2], height * grain, width * grain)
        h[:, :, rows.place(grain), columns.place(grain)] = piece[:, :, rows.kept(grain), columns.kept(grain)]
    if h is None:
        raise ValueError("a picture has at least one latent cell")
    return vae.moments(encoder.coarse(h))


def measured_statistics(network: Callable[[Tensor], Tensor], x: Tensor, side: int) -> NormStatistics:
    """Statistics of the network's norms on a version of ``x`` of at most ``side`` squared positions.

    Every so-and-so-many-th position is taken: an average of positions would be too smooth.
    """
    statistics = NormStatistics()
    scale = min(1.0, side / math.sqrt(x.shape[2] * x.shape[3]))
    size = [max(8, length * scale // 8 * 8) for length in x.shape[2:]]
    small = x if scale == 1 else F.interpolate(x, size=[int(s) for s in size], mode="nearest-exact")
    with statistics.in_force():
        network(small)
    return statistics


def _seen(vae: AutoencoderKL, tile: int) -> int:
    """Side of a tile with its margins, in latent cells."""
    return tile + 2 * _margin(vae)


def _margin(vae: AutoencoderKL) -> int:
    """How far the fine levels see, in latent cells, rounded up: two convolutions a block, and resizing."""
    return 2 * vae.config.num_res_blocks + 2


def _tiles(vae: AutoencoderKL, height: int, width: int, tile: int) -> Iterator[tuple[_Span, _Span]]:
    margin = _margin(vae)
    for rows in _spans(height, tile, margin):
        for columns in _spans(width, tile, margin):
            yield rows, columns


def _spans(length: int, tile: int, margin: int) -> Iterator[_Span]:
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        yield _Span(start, stop, max(0, start - margin), min(length, stop + margin))
