"""When memory runs out: try the same again in a way that needs less, and remember what worked."""

import gc
import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from modules.exceptions import DeviceMemoryError

__all__ = ["climb_down", "is_out_of_memory", "release_cached_memory"]

log = logging.getLogger(__name__)

Rung = TypeVar("Rung")
Result = TypeVar("Result")

# words of allocators whose error has no class of its own: torch's for the CPU, cuBLAS, cuDNN, Metal
_ALLOCATOR_WORDS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "STATUS_ALLOC_FAILED",
    "Invalid buffer size",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, as opposed to anything else that goes wrong in a network."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ALLOCATOR_WORDS)


def release_cached_memory(device: torch.device) -> None:
    """Give back what the allocator keeps for later, after a failed attempt has left its tensors behind."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def climb_down(
    rung: Rung,
    attempt: Callable[[Rung], Result],
    lower: Callable[[Rung], Rung | None],
    device: torch.device,
) -> tuple[Result, Rung]:
    """Attempt something, each time in a more modest way, until the memory suffices.

    The most modest way is tried twice: what it lacked may have been another program's for a moment.

    Args:
        rung: the way to try first.
        attempt: does it; must not keep anything when it fails.
        lower: the next more modest way, None when there is none.
        device: whose memory runs out.

    Returns:
        The result and the rung that carried it.

    Raises:
        DeviceMemoryError: even the lowest rung needs too much.
    """
    is_last = False
    while True:
        try:
            return attempt(rung), rung
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Here, outside of the except block, the traceback is gone, and with it the tensors of its frames.
        release_cached_memory(device)
        below = lower(rung)
        if below is None and not is_last:
            is_last, below = True, rung
        if below is None:
            raise DeviceMemoryError(
                "The device has too little memory, whatever was tried. Choose a smaller size, or close other "
                "programs that use it."
            )
        log.warning("out of memory with %s; trying %s", rung, below)
        rung = below
