"""Shares with their confidence intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Share", "wilson_interval"]


def wilson_interval(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Confidence interval of a share. Source: Wilson 1927, "Probable Inference"."""
    if total == 0:
        return 0.0, 1.0
    share, spread = right / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Share:
    """How many pictures are right in one respect, with a 95 % interval.

    Attributes:
        group: Which pictures.
        measure: In which respect.
        right: Number of pictures that are right.
        total: Number of pictures.
        low, high: Ends of the interval.
    """

    group: str
    measure: str
    right: int
    total: int
    low: float
    high: float

    @classmethod
    def of(cls, group: str, measure: str, right: Sequence[bool]) -> "Share":
        """From one truth value a picture."""
        count, total = sum(right), len(right)
        low, high = wilson_interval(count, total)
        return cls(group, measure, count, total, low, high)
