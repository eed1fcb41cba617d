"""Learning rates that change at given steps, in A1111's notation: ``0.005:100, 1e-3:1000, 1e-5``."""

import math
from dataclasses import dataclass

__all__ = ["SteppedRates", "SteppedSchedule"]

_EXAMPLE = 'write rates and the steps up to which they count, such as "0.005:100, 1e-3:1000, 1e-5"'
_HIGHEST = 10.0


@dataclass(frozen=True)
class SteppedRates:
    """Learning rates over the steps of a run.

    Attributes:
        parts: Rates, each with the number of steps after which the next one begins; None is never.
    """

    parts: tuple[tuple[float, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> "SteppedRates":
        """Read A1111's notation.

        Raises:
            ValueError: It cannot be read; the message is a sentence for the user.
        """
        parts: list[tuple[float, int | None]] = []
        for piece in text.split(","):
            if not piece.strip():
                continue
            if parts and parts[-1][1] is None:
                raise ValueError(f"after a learning rate without a step no other can follow: {_EXAMPLE}")
            before = (parts[-1][1] or 0) if parts else 0
            parts.append(_part(piece.strip(), before))
        if not parts:
            raise ValueError(f"there is no learning rate: {_EXAMPLE}")
        return cls(tuple(parts))

    @property
    def end(self) -> int | None:
        """Steps after which no rate is left; None if the last counts for ever."""
        return self.parts[-1][1]

    def at(self, step: int) -> float:
        """The rate of a step, counted from 0; behind the end it is the last one."""
        return next((rate for rate, until in self.parts if until is None or step < until), self.parts[-1][0])


def _part(piece: str, before: int) -> tuple[float, int | None]:
    written, colon, end = (part.strip() for part in piece.partition(":"))
    try:
        rate, until = float(written), int(end) if colon else None
    except ValueError as error:
        raise ValueError(f"{piece[:40]!r} is no learning rate: {_EXAMPLE}") from error
    if not math.isfinite(rate) or not 0 < rate <= _HIGHEST:
        raise ValueError(f"the learning rate {written[:40]} must be above 0 and at most {_HIGHEST:g}")
    if until is not None and until <= before:
        raise ValueError(f"the steps of learning rates must grow, and {until} comes after {before}")
    return rate, until


@dataclass(frozen=True)
class SteppedSchedule:
    """The factor on the learning rate that makes it what :class:`SteppedRates` say.

    Attributes:
        rates: The rates.
        base: The learning rate that is multiplied.
    """

    rates: SteppedRates
    base: float

    def factor(self, step: int) -> float:
        """The factor for step ``step``, counted from 0."""
        return self.rates.at(step) / self.base
