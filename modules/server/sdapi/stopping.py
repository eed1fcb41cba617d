"""Stopping the server by API: only with ``--api-server-stop``, only for administrators."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from modules.server.errors import require_admin
from modules.server.identity import Caller
from modules.server.lifecycle import EXIT_RESTART, Lifecycle

__all__ = ["stopping_router"]


def stopping_router(lifecycle: Lifecycle) -> APIRouter:
    """Routes of the flag ``--api-server-stop``."""
    router = APIRouter(tags=["server"])

    @router.post("/sdapi/v1/server-stop", response_class=PlainTextResponse)
    def server_stop(caller: Caller) -> str:
        """End the server after the answers under way."""
        require_admin(caller)
        lifecycle.stop()
        return "Stopping."

    @router.post("/sdapi/v1/server-kill", response_class=PlainTextResponse)
    def server_kill(caller: Caller) -> str:
        """The same as server-stop: a running picture goes on at the next start."""
        require_admin(caller)
        lifecycle.stop()
        return "Stopping."

    @router.post("/sdapi/v1/server-restart", response_class=PlainTextResponse)
    def server_restart(caller: Caller) -> str:
        """End the server and let its supervisor start it again."""
        require_admin(caller)
        lifecycle.stop(EXIT_RESTART)
        return "Restarting."

    return router
