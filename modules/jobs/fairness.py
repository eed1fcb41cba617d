"""Who is next: one pure function that both claims a job and predicts places in the queue."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Waiting", "claim_order", "entry_charge"]


@dataclass(frozen=True)
class Waiting:
    """A job that may be claimed, in the order its owner wants it done."""

    id: str
    owner: str


def claim_order(
    waiting: Sequence[Waiting], running: Mapping[str, int], used: Mapping[str, float]
) -> tuple[str, ...]:
    """Order in which jobs will be claimed if every job took equally long.

    Owners take turns: an owner with fewer jobs on the device goes first, among equals the one who
    has used less device time, among those the one whose job was submitted first.

    Args:
        waiting: jobs of all owners, each owner's jobs in their wanted order.
        running: number of jobs on the device, by owner.
        used: device time in seconds, by owner.

    Returns:
        The ids, next one first.
    """
    turns: dict[str, int] = defaultdict(int, running)
    keyed: list[tuple[int, float, int, str]] = []
    for place, job in enumerate(waiting):
        keyed.append((turns[job.owner], used.get(job.owner, 0.0), place, job.id))
        turns[job.owner] += 1
    return tuple(key[-1] for key in sorted(keyed))


def entry_charge(owner: str, active: frozenset[str], used: Mapping[str, float]) -> float:
    """Device time an owner is booked with when he comes back to the queue, in seconds.

    Without it, an owner who was away for a week would push everybody else aside until he had
    caught up. He starts level with the least served owner who is waiting; if nobody is, level with
    the most served one.
    """
    own = used.get(owner, 0.0)
    if owner in active:
        return own
    others = [used.get(name, 0.0) for name in active]
    level = min(others) if others else max(used.values(), default=0.0)
    return max(own, level)
