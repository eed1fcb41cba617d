"""What prompts become: tensors, and when to use which."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["ComposedConditioning", "Conditioning", "ScheduledConditioning"]


@dataclass(frozen=True, eq=False)
class Conditioning:
    """One encoded text.

    Attributes:
        context: states of the text encoders side by side, (T, D) with T a multiple of 77.
        vector: pooled text and sizes, (A,), for families that have it.
    """

    context: Tensor
    vector: Tensor | None = None


@dataclass(frozen=True, eq=False)
class ScheduledConditioning:
    """The encoded texts of one prompt with the step up to which each is used."""

    entries: tuple[tuple[int, Conditioning], ...]

    def at(self, call: int) -> Conditioning:
        """Text for a denoiser call counted from 0.

        Steps are counted from 1 and calls from 0, so the first text is used for one call more than its
        number says; calls beyond the end use the first text. Both are the reference's behaviour.
        """
        return next((conditioning for end, conditioning in self.entries if call <= end), self.entries[0][1])


@dataclass(frozen=True, eq=False)
class ComposedConditioning:
    """The parts of a prompt between ``AND``, each with its weight."""

    parts: tuple[tuple[ScheduledConditioning, float], ...]
