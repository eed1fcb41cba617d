"""What the owner of a running job wants of it."""

from dataclasses import dataclass

__all__ = ["Control"]


@dataclass(frozen=True)
class Control:
    """What the owner of a running job wants of it. The runner asks before each step.

    Attributes:
        interrupt: stop everything and keep what is finished; the job ends as DONE.
        skip: end the current picture early and go on with the next; acknowledge it.
        pause: hold still, keep all state, go on when the flag is gone.
        cancel: stop everything; the job ends as CANCELLED.
    """

    interrupt: bool = False
    skip: bool = False
    pause: bool = False
    cancel: bool = False
