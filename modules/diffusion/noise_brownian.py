"""Brownian motion whose increments do not depend on which were asked for before.

The path over [t0, t1] is refined by halving: an interval's increment is split at its middle by a Brownian
bridge whose randomness follows from the entropy and the interval's place in the tree. The numbers equal those
of torchsde's ``BrownianTree``, which pictures of other programs depend on; here the source of normal numbers
is a parameter, and a query costs no more than the part of the tree that the last query did not visit.

Source: Li et al. 2020, "Scalable Gradients for Stochastic Differential Equations", section 4 and algorithm 3.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from torch import Tensor

__all__ = ["BrownianTree", "Randn"]

DIGITS = 6  # decimal digits to which times are rounded; the tree is at most about 24 deep
POOL_SIZE = 24  # words of entropy numpy mixes for each node

Randn = Callable[[int], Tensor]
"""Standard normal numbers of one fixed shape for a seed."""


@dataclass(frozen=True, eq=False)
class _Interval:
    """A node of the tree: the path rises by ``increment`` between ``start`` and ``end``."""

    start: float
    end: float
    increment: Tensor
    key: int = 0  # number of the node in its level
    depth: int = 0


class BrownianTree:
    """One Brownian path over [t0, t1].

    Args:
        t0: start; below ``t1``.
        t1: end.
        entropy: non-negative; decides the path.
        randn: makes the normal numbers.
    """

    def __init__(self, t0: float, t1: float, entropy: int, randn: Randn) -> None:
        self._entropy = entropy
        self._randn = randn
        seed = np.random.SeedSequence(entropy, pool_size=POOL_SIZE).generate_state(3)[0]
        self._root = _Interval(round(t0, DIGITS), round(t1, DIGITS), randn(int(seed)) * sqrt(t1 - t0))
        self._visited: dict[tuple[int, int], tuple[_Interval, _Interval]] = {}
        self._visited_before: dict[tuple[int, int], tuple[_Interval, _Interval]] = {}

    def increment(self, start: float, end: float) -> Tensor:
        """W(end) - W(start); ``start`` <= ``end``, both clipped to [t0, t1]."""
        low, high = self._root.start, self._root.end
        start, end = (round(min(max(time, low), high), DIGITS) for time in (start, end))
        self._visited_before, self._visited = self._visited, {}
        total = None
        for part in self._parts(self._root, start, end):
            total = part if total is None else total + part
        return self._root.increment * 0 if total is None else total

    def _parts(self, node: _Interval, start: float, end: float) -> Iterator[Tensor]:
        """Increments of the nodes that together cover [start, end], in order."""
        if start >= end:
            return
        if (start, end) == (node.start, node.end):
            yield node.increment
            return
        left, right = self._halves(node)
        yield from self._parts(left, start, min(end, left.end))
        yield from self._parts(right, max(start, right.start), end)

    def _halves(self, node: _Interval) -> tuple[_Interval, _Interval]:
        """Split by a Brownian bridge, or remember the split from this or the last query."""
        place = (node.depth, node.key)
        halves = self._visited.get(place) or self._visited_before.get(place) or self._split(node)
        self._visited[place] = halves
        return halves

    def _split(self, node: _Interval) -> tuple[_Interval, _Interval]:
        middle = round(0.5 * (node.end + node.start), DIGITS)
        sequence = np.random.SeedSequence(
            self._entropy, spawn_key=(node.key, node.depth), pool_size=POOL_SIZE
        )
        noise = self._randn(int(sequence.generate_state(4)[0]))
        before, after, part = middle - node.start, node.end - middle, 1 / (node.end - node.start)
        rise = before * node.increment * part + sqrt(before * after * part) * noise
        depth = node.depth + 1
        return (
            _Interval(node.start, middle, rise, 2 * node.key, depth),
            _Interval(middle, node.end, node.increment - rise, 2 * node.key + 1, depth),
        )
