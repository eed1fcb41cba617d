"""Every error this project raises on purpose.

    WebuiError
    +-- RequestError(field)          what the user asked for cannot be done; HTTP 422
    |   +-- NotFoundError            a named thing does not exist; HTTP 404
    +-- ForbiddenError               the caller is known, but this is not his to do; HTTP 403
    +-- CheckpointError(path)        a model file cannot be read or used
    +-- AdapterError(path)           a LoRA, embedding or hypernetwork cannot be read or used
    +-- DeviceMemoryError            the device has too little memory, whatever was tried
    +-- NumericalError(stage)        NaN or all-black values appeared at a named stage
    +-- QueueFullError(retry_after)  no more jobs are accepted for now; HTTP 429
    +-- StorageError(path)           a file could not be written (disk full, no permission)
    +-- TrainingError                training cannot start or had to stop
    +-- JobInterrupted               the user stopped the job; not a failure
    +-- ExtensionError(name, hook)   an extension's hook raised

A message says what happened, with which value, and what to do about it. Translation to HTTP
lives in ``server/errors.py`` and to page messages in ``webui/messages.py``, nowhere else.
"""

from pathlib import Path

__all__ = [
    "AdapterError",
    "CheckpointError",
    "DeviceMemoryError",
    "ExtensionError",
    "ForbiddenError",
    "JobInterrupted",
    "NotFoundError",
    "NumericalError",
    "QueueFullError",
    "RequestError",
    "StorageError",
    "TrainingError",
    "WebuiError",
]


class WebuiError(Exception):
    """Base of all errors raised on purpose; its text is fit to be shown to the user."""


class RequestError(WebuiError):
    """A request asks for something impossible. ``field`` is the name of the offending field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotFoundError(RequestError):
    """A model, sampler, job or picture named in a request does not exist."""


class ForbiddenError(WebuiError):
    """The caller is known, but this is not his to do."""


class CheckpointError(WebuiError):
    """A model file cannot be read, recognised or used. ``path`` is the file."""

    def __init__(self, path: str | Path, message: str) -> None:
        super().__init__(f"{Path(path).name}: {message}")
        self.path = Path(path)


class AdapterError(WebuiError):
    """A LoRA, textual inversion or hypernetwork cannot be read or used. ``path`` is the file."""

    def __init__(self, path: str | Path, message: str) -> None:
        super().__init__(f"{Path(path).name}: {message}")
        self.path = Path(path)


class DeviceMemoryError(WebuiError):
    """The device ran out of memory although every fallback was tried."""


class NumericalError(WebuiError):
    """NaN or constant values appeared. ``stage`` names the network that produced them."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


class QueueFullError(WebuiError):
    """The queue takes no more jobs for now. ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageError(WebuiError):
    """A file could not be written. ``path`` is where it should have gone."""

    def __init__(self, path: str | Path, message: str) -> None:
        super().__init__(message)
        self.path = Path(path)


class TrainingError(WebuiError):
    """Training cannot start, or stopped with the last good state kept."""


class JobInterrupted(WebuiError):
    """Raised inside a running job when its user stops it."""


class ExtensionError(WebuiError):
    """A hook of an extension raised. ``name`` is the extension, ``hook`` the hook's name."""

    def __init__(self, name: str, hook: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.hook = hook
