"""Group normalisation whose statistics can be shared by the tiles of one picture.

A group norm normalises by mean and variance over the whole picture. A tile alone would be normalised by its
own, and every tile would get another contrast: seams. So the statistics are measured once, on a sample of
the whole picture, and then used for every tile; all tiles are then computed by the same function of the
pixels around a point, and fit exactly.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["GroupNorm", "NormStatistics"]


@dataclass(eq=False)
class NormStatistics:
    """Mean and variance of each group of each norm, measured once and then used again.

    A norm that is met for the first time measures what it is given, all rows together.
    """

    known: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let every :class:`GroupNorm` in the block use these statistics, in this thread only."""
        token = _in_force.set(self)
        try:
            yield
        finally:
            _in_force.reset(token)

    def normalise(self, norm: nn.GroupNorm, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) by the shared statistics, then scale and shift as the norm does."""
        if id(norm) not in self.known:
            grouped = x.float().unflatten(1, (norm.num_groups, -1))  # B G C/G H W
            variance, mean = torch.var_mean(grouped, dim=(0, 2, 3, 4), correction=0)
            self.known[id(norm)] = mean, variance
        mean, variance = self.known[id(norm)]
        channels = x.shape[1] // norm.num_groups
        scale = torch.rsqrt(variance + norm.eps).repeat_interleave(channels) * norm.weight.float()
        shift = norm.bias.float() - mean.repeat_interleave(channels) * scale
        return torch.addcmul(shift.to(x.dtype)[:, None, None], x, scale.to(x.dtype)[:, None, None])


_in_force: ContextVar[NormStatistics | None] = ContextVar("norm_statistics", default=None)


class GroupNorm(nn.GroupNorm):
    """Group normalisation that takes part in :class:`NormStatistics`."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        shared = _in_force.get()
        if shared is not None:
            return shared.normalise(self, x)
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
