"""Reference cases that wait for a feature which the project does not have yet, with the reason.

Nothing is skipped in silence: a case is either compared or stands here, and a case that stands here but
passes fails the test until its line is removed.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WAITING", "waits_for"]

WAITING: Mapping[str, str] = MappingProxyType({})
"""Feature of the case -> what it waits for. Today nothing waits."""


def waits_for(feature: str) -> str | None:
    """What a case of this feature waits for; None when it is compared."""
    return WAITING.get(feature)
