"""The flag ``--api-log``: one line in the log for each answer of A1111's routes."""

import logging
from datetime import datetime

from starlette.types import Scope

__all__ = ["log_api_answer"]

log = logging.getLogger(__name__)


def log_api_answer(scope: Scope, status: int, seconds: float) -> None:
    """Write A1111's line: when, status, protocol, method, path, caller and time taken; never what was sent.

    Args:
        scope: the connection, of type http.
        status: of the answer.
        seconds: until its first byte.
    """
    path = scope["path"]
    if not path.startswith("/sdapi"):
        return
    client = scope["client"][0] if scope.get("client") else "unknown"
    log.info(
        "API %s %s %s/%s %s %s %s %.4f",
        datetime.now().astimezone().isoformat(sep=" ", timespec="milliseconds"),
        status,
        scope.get("scheme", "http"),
        scope.get("http_version", "1.1"),
        scope["method"],
        path.encode("unicode_escape").decode("ascii"),  # a line break in an address begins no line of the log
        client,
        seconds,
    )
