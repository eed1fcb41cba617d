"""One sentence for whatever stopped a job."""

import errno

import torch

from modules.exceptions import WebuiError

__all__ = ["error_kind", "readable_error"]


def error_kind(error: Exception) -> str:
    """Class of one of our errors; "" for all others."""
    return type(error).__name__ if isinstance(error, WebuiError) else ""


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
