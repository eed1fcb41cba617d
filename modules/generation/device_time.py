"""Sharing the device between owners by the time they were given, not by how many images they have."""

from collections.abc import Set as AbstractSet

__all__ = ["DeviceTime"]


class DeviceTime:
    """Seconds of the device given to each owner while images were in flight.

    Who comes in starts level with the least served owner who is there: time away is no credit. Who comes
    back soon keeps what he was given, so that many short images count as much as one long one.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def of(self, owner: str) -> float:
        """What an owner was given, on a scale that only serves to compare owners."""
        return self._seconds.get(owner, 0.0)

    def enter(self, owner: str, present: AbstractSet[str]) -> None:
        """An image of the owner starts while ``present`` owners have images in flight."""
        if owner not in present:
            level = min((self.of(other) for other in present), default=0.0)
            self._seconds[owner] = max(self.of(owner), level)

    def book(self, owner: str, seconds: float) -> None:
        """The owner was given so much."""
        self._seconds[owner] = self.of(owner) + seconds
