"""Bind each page of Gradio to the user who opened it.

Gradio keys a page's event stream by a ``session_hash`` that the browser chooses; whoever knows it could
read another user's results. The first user to show a hash owns it; for others it is closed.
"""

import json
from collections import OrderedDict
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope

from modules.server.json_body import LARGE_BODY

__all__ = ["GradioSessions"]

_PREFIX = "/gradio_api/"
_HASH_IN_PATH = ("heartbeat", "stream")
_HASH_IN_BODY = ("queue", "cancel", "reset", "call", "run", "api", "component_server")
_ALSO_AS_FORM = "component_server"  # Gradio reads forms here too; the page sends none: none passes
_REMEMBERED = 10_000


class GradioSessions:
    """Which user owns which session hash. Lives on the event loop, so it needs no lock."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, str] = OrderedDict()

    @staticmethod
    def concern(scope: Scope) -> bool:
        """Whether a request is one of a page's to Gradio."""
        return str(scope["path"]).startswith(_PREFIX)

    async def admit(self, scope: Scope, receive: Receive, user: str) -> Receive | None:
        """Check the session hash of a request that :meth:`concern` names, if it carries one.

        Returns:
            A ``receive`` for the application (a body that had to be read is played again), or None when
            the hash is somebody else's, or comes in a form.
        """
        parts = str(scope["path"]).removeprefix(_PREFIX).split("/")
        shown = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [])
        if parts[0] in _HASH_IN_PATH:
            shown += parts[1:2]
        if parts[0] == _ALSO_AS_FORM and _is_form(scope):
            return None
        if scope.get("method") == "POST" and parts[0] in _HASH_IN_BODY:
            body = await _read(receive)
            large = len(body) > LARGE_BODY
            shown += await run_in_threadpool(_hash_in, body) if large else _hash_in(body)
            receive = _replay(body, receive)
        return receive if all(self._belongs(session, user) for session in shown) else None

    def _belongs(self, session: str, user: str) -> bool:
        owner = self._owners.setdefault(session, user)
        self._owners.move_to_end(session)
        while len(self._owners) > _REMEMBERED:
            self._owners.popitem(last=False)
        return owner == user


def _is_form(scope: Scope) -> bool:
    kinds = (value for name, value in scope["headers"] if name.lower() == b"content-type")
    return any(kind.strip().lower().startswith(b"multipart/") for kind in kinds)


async def _read(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return b"".join(chunks)


def _hash_in(body: bytes) -> list[str]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return []  # Gradio will not understand it either
    session = content.get("session_hash") if isinstance(content, dict) else None
    return [session] if isinstance(session, str) else []


def _replay(body: bytes, receive: Receive) -> Receive:
    played = False

    async def again() -> Message:
        nonlocal played
        if played:
            return await receive()
        played = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
