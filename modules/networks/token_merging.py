"""Merging of similar tokens around self-attention (ToMe): fewer tokens, less work, nearly the same picture.

Every 2x2 block of cells has one destination, its first cell; the other cells are sources. The sources most
like a destination are averaged into it before attention, and get its result afterwards.

Source: Bolya et al. 2023, "Token Merging: Your ViT But Faster", section 3; Bolya and Hoffman 2023, "Token
Merging for Fast Stable Diffusion", section 3, without its random choice of destinations.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["TokenMerge", "plan_merge"]

STRIDE = 2  # a destination in each block of this side


@dataclass(frozen=True, eq=False)
class TokenMerge:
    """Which tokens of a batch are averaged into which; all indices are (B, count, 1) int64.

    Attributes:
        kept: source tokens that stay by themselves.
        merged: source tokens that are averaged away.
        targets: for each of ``merged``, its place among ``destinations``.
        destinations: tokens into which others are averaged.
    """

    kept: Tensor
    merged: Tensor
    targets: Tensor
    destinations: Tensor

    def merge(self, x: Tensor) -> Tensor:
        """(B, N, W) to (B, kept + destinations, W)."""
        into = _take(x, self.destinations)
        away = _take(x, self.merged)
        averaged = into.scatter_reduce(1, self.targets.expand_as(away), away, reduce="mean")
        return torch.cat([_take(x, self.kept), averaged], dim=1)

    def unmerge(self, x: Tensor) -> Tensor:
        """(B, kept + destinations, W) to (B, N, W), a merged token being the same as its destination."""
        batch, _, width = x.shape
        kept, into = x.split([self.kept.shape[1], self.destinations.shape[1]], dim=1)
        out = x.new_empty(batch, x.shape[1] + self.merged.shape[1], width)
        for index, tokens in (
            (self.destinations, into),
            (self.kept, kept),
            (self.merged, _take(into, self.targets)),
        ):
            out.scatter_(1, index.expand_as(tokens), tokens)
        return out


def plan_merge(x: Tensor, height: int, width: int, ratio: float) -> TokenMerge | None:
    """Decide for each row of a batch which tokens are merged.

    Args:
        x: tokens of a feature map row by row, (B, height * width, W); likeness is their cosine.
        height: of the feature map, in cells.
        width: of the feature map, in cells.
        ratio: part of all tokens to average away, 0..1; three quarters at most can be.

    Returns:
        None when nothing is to be merged.
    """
    sources, destinations = _split(height, width, x.device)
    count = min(int(x.shape[1] * ratio), len(sources))
    if count <= 0 or len(destinations) == 0:
        return None
    unit = x / x.norm(dim=-1, keepdim=True)
    likeness = unit[:, sources] @ unit[:, destinations].transpose(1, 2)  # B sources destinations
    best, target = likeness.max(dim=-1)
    order = best.argsort(dim=-1, descending=True, stable=True)
    away, stay = order[:, :count], order[:, count:]
    return TokenMerge(
        kept=sources[stay][..., None],
        merged=sources[away][..., None],
        targets=target.gather(1, away)[..., None],
        destinations=destinations.expand(len(x), -1)[..., None],
    )


def _split(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices of sources and destinations; what is left of odd sides is source."""
    chosen = torch.zeros(height, width, dtype=torch.bool, device=device)
    chosen[: height // STRIDE * STRIDE : STRIDE, : width // STRIDE * STRIDE : STRIDE] = True
    # sources first; their number is known here, so that nobody has to wait for the device to count
    order = chosen.flatten().to(torch.uint8).argsort(stable=True)
    count = height * width - (height // STRIDE) * (width // STRIDE)
    return order[:count], order[count:]


def _take(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, index.expand(-1, -1, x.shape[2]))
