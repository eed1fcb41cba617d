"""Deep features of the U-Net that some steps in a row share: fewer blocks to compute, a similar picture.

What the blocks below the outermost skip connection compute changes little from one step to the next. So it is
computed at every n-th step only; the steps between compute the first and the last block around it.

Source: Ma et al. 2023, "DeepCache: Accelerating Diffusion Models for Free", sections 3.2 and 3.3 (uniform
intervals, the first skip branch).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["DeepFeatures"]


class DeepFeatures:
    """What the last block of the U-Net reads from below, (B, C, h, w), a row a prediction.

    While it is empty a call of the U-Net computes everything and fills it; once it is filled, calls take it
    for what lies below.
    """

    def __init__(self, values: Tensor | None = None) -> None:
        self.values = values

    @property
    def is_known(self) -> bool:
        """Whether it is filled."""
        return self.values is not None

    def rows(self, which: slice | Tensor) -> "DeepFeatures":
        """Some of the rows; empty if it is empty."""
        return DeepFeatures(None if self.values is None else self.values[which])

    def fill(self, parts: "Sequence[DeepFeatures]") -> None:
        """Take over the rows of others, one after the other; empty if one of them is."""
        known = [part.values for part in parts if part.values is not None]
        self.values = torch.cat(known) if len(known) == len(parts) else None

    def split(self, sizes: Sequence[int]) -> "list[DeepFeatures]":
        """Groups of so many rows; empty if it is empty."""
        if self.values is None:
            return [DeepFeatures() for _ in sizes]
        return [DeepFeatures(part) for part in self.values.split(list(sizes))]

    def clear(self) -> None:
        """Empty it."""
        self.values = None
