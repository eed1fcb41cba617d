"""JSON bodies whose text can be stored and sent back: half surrogate pairs become question marks."""

from collections.abc import Callable, Coroutine

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import JsonValue

__all__ = ["JsonRoute"]


class JsonRoute(APIRoute):
    """Route class of every router that takes a JSON body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """FastAPI's handler on a request whose JSON was cleaned."""
        handle = super().get_route_handler()

        async def handle_clean(request: Request) -> Response:
            return await handle(_CleanRequest(request.scope, request.receive))

        return handle_clean


class _CleanRequest(Request):
    async def json(self) -> JsonValue:
        content: JsonValue = await super().json()
        # only an escape can bring in what UTF-8 cannot hold
        return _clean(content) if rb"\u" in await self.body() else content


def _clean(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {str(_clean(key)): _clean(item) for key, item in value.items()}
    return value
