"""A sign of life that says nothing to strangers."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

__all__ = ["health_router"]


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = Field("ok", description="always ok")


def health_router() -> APIRouter:
    """Route ``/health``."""
    router = APIRouter(tags=["server"])

    @router.get("/health")
    async def health() -> Health:
        """Answer as long as the server's event loop runs; needs no login."""
        return Health()

    return router
