"""Which pictures are seen together at which step: a function of the seed and the step alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from modules.training.finetuning.latents import EncodedPicture
from modules.training.loop import numpy_generator

__all__ = ["Batches", "latents_of", "mask_of"]


@dataclass
class Batches:
    """Rounds over all pictures; a batch holds pictures of one shape.

    Args:
        pictures: what is learnt from.
        batch: pictures at a time; the last batch of a shape may be smaller.
        seed: decides the order.
    """

    pictures: Sequence[EncodedPicture]
    batch: int
    seed: int
    _round: tuple[int, list[list[int]]] = field(init=False, default=(-1, []))

    @property
    def per_round(self) -> int:
        """Batches until every picture was seen as often as it is repeated."""
        return len(self._batches(0))

    def at(self, number: int) -> list[EncodedPicture]:
        """The pictures of batch ``number``, counted from 0 over all rounds."""
        lap, place = divmod(number, self.per_round)
        return [self.pictures[index] for index in self._batches(lap)[place]]

    def _batches(self, lap: int) -> list[list[int]]:
        if self._round[0] != lap:
            self._round = (lap, self._drawn(lap))
        return self._round[1]

    def _drawn(self, lap: int) -> list[list[int]]:
        rng = numpy_generator(self.seed, lap)
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(self.pictures):
            by_shape.setdefault(tuple(picture.mean.shape), []).extend([index] * picture.repeats)
        batches = []
        for indices in by_shape.values():
            order = [indices[place] for place in rng.permutation(len(indices))]
            batches += [order[start : start + self.batch] for start in range(0, len(order), self.batch)]
        return [batches[place] for place in rng.permutation(len(batches))]


def latents_of(pictures: Sequence[EncodedPicture], generator: torch.Generator) -> Tensor:
    """Latents (B, C, h, w) drawn from what the autoencoder says of each picture."""
    mean = torch.stack([item.mean for item in pictures])
    std = torch.stack([item.std for item in pictures])
    return mean + std * torch.randn(mean.shape, generator=generator)


def mask_of(pictures: Sequence[EncodedPicture]) -> Tensor | None:
    """Masks (B, 1, h, w); None where no picture has one."""
    if all(item.mask is None for item in pictures):
        return None
    whole = torch.ones(1, *pictures[0].mean.shape[1:])
    return torch.stack([whole if item.mask is None else item.mask for item in pictures])
