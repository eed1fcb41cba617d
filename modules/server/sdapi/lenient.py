"""What A1111 took for a whole number or a text beside whole numbers and texts: its clients rely on it."""

import math

from pydantic import BeforeValidator, ConfigDict

__all__ = ["TEXTS_FROM_NUMBERS", "WHOLE"]

TEXTS_FROM_NUMBERS = ConfigDict(coerce_numbers_to_str=True)


def _truncated(value: object) -> object:
    """A number without its fraction; anything else as it is, for the field to judge."""
    return math.trunc(value) if isinstance(value, float) and math.isfinite(value) else value


WHOLE = BeforeValidator(_truncated)
"""Behind the limits of an ``Annotated[int, ...]``: fractions are cut off before they are looked at."""
