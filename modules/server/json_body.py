"""JSON bodies whose text can be stored and sent back: half surrogate pairs become question marks.

Large bodies are read in a thread: nobody else's request waits for them.
"""

import json
from collections.abc import Callable, Coroutine

from fastapi import HTTPException, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import JsonValue
from starlette.concurrency import run_in_threadpool

__all__ = ["LARGE_BODY", "JsonRoute"]

LARGE_BODY = 1024 * 1024  # bytes; smaller ones are read within milliseconds
MAX_CONTAINERS = 250_000  # while JSON is read and its lists are tracked, no other thread runs


class JsonRoute(APIRoute):
    """Route class of every router that takes a JSON body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """FastAPI's handler on a request whose JSON was cleaned."""
        handle = super().get_route_handler()

        async def handle_clean(request: Request) -> Response:
            return await handle(_CleanRequest(request.scope, request.receive))

        return handle_clean


class _CleanRequest(Request):
    _content: JsonValue
    _is_read = False

    async def json(self) -> JsonValue:
        if not self._is_read:
            body = await self.body()
            large = len(body) > LARGE_BODY
            self._content = await run_in_threadpool(_read, body) if large else _read(body)
            self._is_read = True
        return self._content


def _read(body: bytes) -> JsonValue:
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:  # those in texts counted too
        raise HTTPException(422, f"the body has more than {MAX_CONTAINERS:,} lists and objects")
    content: JsonValue = json.loads(body)
    # only an escape can bring in what UTF-8 cannot hold
    return _clean(content) if rb"\u" in body else content


def _clean(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {str(_clean(key)): _clean(item) for key, item in value.items()}
    return value
