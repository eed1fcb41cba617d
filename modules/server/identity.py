"""Who is calling: the value the guard puts beside each request it lets through."""

from typing import Annotated, cast

from fastapi import Depends, Request

from modules.domain.principal import Principal

__all__ = ["Caller", "caller_of"]


def caller_of(request: Request) -> Principal:
    """The principal that the guard has found for this request."""
    return cast("Principal", request.state.principal)


async def _caller(request: Request) -> Principal:
    return caller_of(request)  # FastAPI would send a plain function to another thread


Caller = Annotated[Principal, Depends(_caller)]
