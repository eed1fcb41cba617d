"""One sentence for whatever stopped a job."""

import errno
from collections.abc import Iterable

import torch

from modules.domain.job import JobState
from modules.exceptions import RequestError, WebuiError
from modules.jobs.queue import Outcome

__all__ = ["failed", "readable_error"]


def failed(error: Exception, comments: Iterable[str] = ()) -> Outcome:
    """How a job ended that an error has stopped."""
    return Outcome(
        JobState.FAILED,
        readable_error(error),
        error_kind=type(error).__name__ if isinstance(error, WebuiError) else "",
        error_field=error.field if isinstance(error, RequestError) else "",
        comments=tuple(comments),
    )


def readable_error(error: Exception) -> str:
    """What happened, and what to do, fit to be shown beside the picture; never a traceback."""
    if isinstance(error, WebuiError):
        return str(error)
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return (
            "The device ran out of memory. Try a smaller size or batch, or close other programs that use it."
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. Free some space and generate again."
    if isinstance(error, OSError):
        return f"A file could not be read or written ({error.strerror or 'input/output error'})."
    return (
        f"Something went wrong inside the program ({type(error).__name__}); the server's log has the details."
    )
