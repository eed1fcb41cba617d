"""The one place where errors become HTTP: A1111's four-key body, a status, no secrets, no echo."""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from modules.domain.principal import Principal
from modules.exceptions import (
    AdapterError,
    CheckpointError,
    DeviceMemoryError,
    ForbiddenError,
    NotFoundError,
    QueueFullError,
    RequestError,
    StorageError,
    TrainingError,
    WebuiError,
)

__all__ = [
    "ERROR_RESPONSES",
    "BadRequestError",
    "ErrorBody",
    "JobFailedError",
    "install_error_handlers",
    "require_admin",
]

log = logging.getLogger(__name__)

MAX_SENTENCE = 500  # characters: room for ten names of models beside one that was not found
MAX_NAME = 60
MAX_PROBLEMS = 50


class BadRequestError(RequestError):
    """A1111 answers this mistake with 400; clients test for that number."""


def require_admin(caller: Principal) -> None:
    """Let only administrators pass.

    Raises:
        ForbiddenError: the caller is none.
    """
    if not caller.is_admin:
        raise ForbiddenError("this belongs to the administrator")


class JobFailedError(WebuiError):
    """The job was accepted and then failed; the text is the job's error.

    ``kind`` is the error's class, ``field`` the request's field that is to blame; "" where there is none.
    """

    def __init__(self, message: str, kind: str = "", field: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.field = field


class ErrorBody(BaseModel):
    """Body of an error answer, with A1111's keys and the field that is to blame."""

    error: str = Field(description="kind of error")
    detail: str = Field(description="one sentence: what happened and what to do")
    body: str = Field("", description="always empty; kept for A1111's clients")
    errors: str = Field(description="the same sentence; kept for A1111's clients")
    field: str | None = Field(None, description="the request's field that is to blame")


ERROR_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "something named in the request does not exist"},
    422: {"model": ErrorBody, "description": "a field has a value that cannot be used"},
    429: {"model": ErrorBody, "description": "the queue is full; see Retry-After"},
    500: {"model": ErrorBody, "description": "the job failed; the sentence says why"},
}

_STATUS: tuple[tuple[type[WebuiError], int], ...] = (  # the first class that fits
    (BadRequestError, 400),
    (NotFoundError, 404),
    (RequestError, 422),
    (ForbiddenError, 403),
    (QueueFullError, 429),
    (CheckpointError, 422),
    (AdapterError, 422),
    (DeviceMemoryError, 507),
    (StorageError, 507),
    (TrainingError, 422),
    (WebuiError, 500),
)


_NAMED_BY = {
    CheckpointError.__name__: "sd_model_checkpoint",
    AdapterError.__name__: "prompt",
    TrainingError.__name__: "recipe",
}


def install_error_handlers(app: FastAPI) -> None:
    """Let the application answer our errors, wrong requests and bugs in one form."""
    app.add_exception_handler(WebuiError, _answer_webui_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.add_exception_handler(Exception, _answer_bug)


def _body(kind: str, detail: str, field: str | None = None) -> dict[str, str | None]:
    # lone surrogates of a hostile request cannot be encoded in the answer
    clean = _cut(detail, MAX_SENTENCE).encode("utf-8", "replace").decode()
    return ErrorBody(
        error=kind, detail=clean, errors=clean, field=field and _cut(field, MAX_NAME)
    ).model_dump()


def _cut(text: str, length: int) -> str:
    """Beginning and end of a text that is longer: what was sent stands in the middle of our sentences."""
    if len(text) <= length:
        return text
    end = length // 3
    return f"{text[: length - end - 5]} ... {text[-end:]}"


def _status(error: Exception) -> int:
    """HTTP status of one of our errors; a failed job answers as its cause would have."""
    if isinstance(error, JobFailedError):
        return next((status for kind, status in _STATUS if kind.__name__ == error.kind), 500)
    return next(status for kind, status in _STATUS if isinstance(error, kind))


def _kind(error: Exception) -> str:
    return (isinstance(error, JobFailedError) and error.kind) or type(error).__name__


async def _answer_webui_error(_request: Request, error: Exception) -> JSONResponse:
    status = _status(error)
    headers: Mapping[str, str] | None = None
    if isinstance(error, QueueFullError):
        headers = {"retry-after": str(error.retry_after)}
    return JSONResponse(_body(_kind(error), str(error), _blamed(error)), status, headers)


def _blamed(error: Exception) -> str | None:
    """The request's field that is to blame; a file that cannot be used was named by one too."""
    field = error.field if isinstance(error, RequestError | JobFailedError) else ""
    return field or _NAMED_BY.get(_kind(error))


async def _answer_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    """FastAPI's standard body without the values that were sent: no echo."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [
        {
            "loc": [_cut(str(part), MAX_NAME) for part in problem["loc"]],
            "msg": _cut(problem["msg"], MAX_SENTENCE),
            "type": problem["type"],
        }
        for problem in problems[:MAX_PROBLEMS]
    ]
    return JSONResponse({"detail": detail}, 422)


async def _answer_bug(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse(
        _body(type(error).__name__, "an unexpected error happened; the server's log says more"), 500
    )
