"""The one outermost gate: pure ASGI, before routing, before any body is parsed. Deny by default.

Order: host, size, origin, credentials (a preflight, which carries none, is answered before them). The limit
on wrong attempts belongs to the credentials. It knows no routes; what is not in the literal list below needs
a caller that proved who he is, also for routes that an extension or Gradio adds later.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modules.domain.principal import Principal
from modules.server.access import PAGE_CHALLENGE, Access, Refusal
from modules.server.api_log import log_api_answer
from modules.server.compression import Compression
from modules.server.gradio_sessions import GradioSessions
from modules.server.slow_clients import BODY_SECONDS

__all__ = ["PUBLIC_PATHS", "Guard", "GuardedApp"]

log = logging.getLogger(__name__)

PUBLIC_PATHS = ("/login", "/health")  # at most five, all of them harmless to strangers
_LENGTH_DIGITS = 18  # of a Content-Length: 2**59 bytes
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Gradio builds its templates with `new Function` and inline styles; everything still comes from here.
_CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_SECURITY_HEADERS = {
    "content-security-policy": _CONTENT_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_STRIPPED_HEADERS = (
    "access-control-allow-origin",  # Gradio reflects any origin on a LAN address
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "server",
)


class Guard:
    """ASGI middleware that lets a request through with its principal, or answers it itself."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._sessions = GradioSessions()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = self._allowed_origin(scope, headers)
        cors = self._cors(scope, headers, origin)
        exchange = _Exchange(receive, send, self._access.max_body, cors, self._note_for(scope))
        try:
            await self._judge(scope, headers, origin, exchange)
        except Exception:
            if exchange.has_started or scope["type"] != "http":
                raise  # the application has answered it already, or nothing can be said any more
            log.exception("%s %s failed at the door", scope["method"], scope["path"])
            await _answer(_error(500, "an unexpected error happened"), scope, exchange)

    async def _judge(self, scope: Scope, headers: Headers, origin: str, exchange: "_Exchange") -> None:
        """Let the application answer, or refuse."""
        answer = self._refuse_at_the_door(scope, headers, origin) or self._identify(scope, headers)
        if isinstance(answer, Response):
            await _answer(answer, scope, exchange)
            return
        scope.setdefault("state", {})["principal"] = answer
        scope["state"]["owner"] = answer.name if answer is not None else None
        body: Receive | None = exchange.receive
        if answer is not None and self._sessions.concern(scope) and self._access.is_multi_user():
            body = await self._sessions.admit(scope, exchange.receive, answer.name)
        if body is None:
            await _answer(_error(403, "this page belongs to somebody else"), scope, exchange)
            return
        with suppress(ClientDisconnect):
            await self._app(scope, body, exchange.send)
        if exchange.is_cut and not exchange.has_started:
            refusal = self._too_large() if exchange.is_too_large else _too_slow()
            await _answer(refusal, scope, exchange, last=True)

    def _note_for(self, scope: Scope) -> "_Note":
        """What is done with the status and the seconds of an answer."""

        def note(status: int, seconds: float) -> None:
            self._access.traffic.answered(status, seconds)
            if self._access.api_log:
                log_api_answer(scope, status, seconds)

        return note

    def _allowed_origin(self, scope: Scope, headers: Headers) -> str:
        """The foreign site that calls, if the administrator allows it; "" otherwise."""
        origin = headers.get("origin", "")
        return origin if scope["type"] == "http" and self._access.origins.allows(origin) else ""

    def _cors(self, scope: Scope, headers: Headers, origin: str) -> Mapping[str, str]:
        if origin and _is_preflight(scope, headers):
            names = headers.get("access-control-request-headers", "")
            return self._access.origins.preflight_headers(origin, names)
        return self._access.origins.headers(origin) if origin else {}

    def _refuse_at_the_door(self, scope: Scope, headers: Headers, origin: str) -> Response | None:
        host = headers.get("host", "")
        if not self._access.hosts.allows(host):
            return _error(403, "this server does not go by that name; see --allowed-host")
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return _error(400, "Content-Length is not a number")
        if len(length) > _LENGTH_DIGITS or int(length) > self._access.max_body:
            return self._too_large()
        if origin and _is_preflight(scope, headers):
            return Response()
        if not origin and not _same_origin(scope, headers, host):
            return _error(403, "requests from other sites are refused")
        return None

    def _identify(self, scope: Scope, headers: Headers) -> Principal | Response | None:
        path = scope["path"]
        client = scope["client"][0] if scope.get("client") else ""
        if path in PUBLIC_PATHS and scope["type"] == "http":
            return None
        verdict = self._access.authenticate(path, client, headers, _cookies(headers))
        if isinstance(verdict, Principal):
            return verdict
        return _challenge(scope, headers, verdict)

    def _too_large(self) -> Response:
        return _error(413, f"the body is larger than {self._access.max_body >> 20} MiB")


class GuardedApp(FastAPI):
    """A FastAPI application whose guard stays outermost, whatever middleware or mount is added later."""

    def __init__(self, access: Access, *, title: str, version: str) -> None:
        # FastAPI's own documentation pages load scripts from a foreign host
        super().__init__(
            title=title,
            version=version,
            docs_url=None,
            redoc_url=None,
            strict_content_type=False,  # many A1111 clients post JSON without naming its type
        )
        self._access = access

    def build_middleware_stack(self) -> ASGIApp:
        """Put the guard around everything, the handler of unexpected errors included."""
        return Guard(Compression(super().build_middleware_stack()), self._access)


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    """Whether a browser only asks if it may send a request."""
    return scope["method"] == "OPTIONS" and "access-control-request-method" in headers


def _same_origin(scope: Scope, headers: Mapping[str, str], host: str) -> bool:
    """Whether a request that may change something, or that streams, comes from our own pages."""
    web_socket = scope["type"] == "websocket"
    streams = scope["path"].startswith("/gradio_api/") or "/events" in scope["path"]
    if not web_socket and not streams and scope["method"] in _SAFE_METHODS:
        return True
    origin = headers.get("origin")
    if origin is None and web_socket:
        return headers.get("authorization") is not None  # a browser always sends an origin here
    if origin is not None:
        try:
            parts = urlsplit(origin)
        except ValueError:  # such as http://[
            return False
        if parts.scheme not in ("http", "https") or parts.netloc.lower() != host.lower():
            return False
    return headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    try:
        parsed = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in parsed.items()}


def _challenge(scope: Scope, headers: Mapping[str, str], refusal: Refusal) -> Response:
    if refusal.retry_after:
        return _error(429, refusal.detail, {"retry-after": str(refusal.retry_after)})
    api = scope["path"].startswith("/sdapi/")
    wants_page = "text/html" in headers.get("accept", "")
    if scope["type"] == "http" and scope["method"] == "GET" and wants_page and not api:
        return RedirectResponse("/login", status_code=303)
    scheme = 'Basic realm="studio", charset="UTF-8"' if api else PAGE_CHALLENGE
    return _error(401, refusal.detail, {"www-authenticate": scheme})


def _error(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    body = {"error": "HTTPException", "detail": detail, "body": "", "errors": detail}
    return JSONResponse(body, status, headers)


def _too_slow() -> Response:
    return _error(408, f"nothing of the body came for {BODY_SECONDS:.0f} seconds", {"connection": "close"})


async def _answer(response: Response, scope: Scope, exchange: "_Exchange", *, last: bool = False) -> None:
    send = exchange.dress if last else exchange.send
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": ""})  # 403 before the handshake
        return
    await response(scope, exchange.receive, send)


_Note = Callable[[int, float], None]


class _Exchange:
    """One connection as the application sees it.

    ``receive`` bounds bodies that came without a length, and the time that it waits for their next byte: to
    the application the client then seems gone, and what it still says is dropped, so that the guard can
    answer. ``send`` adds security headers and the time taken, and puts the CORS headers that the
    administrator wants in place of Gradio's.
    """

    def __init__(
        self, receive: Receive, send: Send, max_body: int, cors: Mapping[str, str], note: _Note
    ) -> None:
        self._receive = receive
        self._send = send
        self._left = max_body
        self._note = note
        self._cors = cors
        self._started = time.perf_counter()
        self.has_started = False
        self.is_too_large = False
        self.is_too_slow = False
        self._is_complete = False  # the body; what is received then is only that the client has gone

    @property
    def is_cut(self) -> bool:
        """Whether the application did not get all of the body."""
        return self.is_too_large or self.is_too_slow

    async def receive(self) -> Message:
        """Hand the next message to the application."""
        try:
            async with asyncio.timeout(None if self._is_complete else BODY_SECONDS):
                message = await self._receive()
        except TimeoutError:
            self.is_too_slow = True
            return {"type": "http.disconnect"}
        self._is_complete = not message.get("more_body", False)
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.is_too_large = True
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Take a message from the application."""
        if not self.is_cut or self.has_started:
            await self.dress(message)

    async def dress(self, message: Message) -> None:
        """Send a message, the first one with our headers."""
        if message["type"] == "http.response.start":
            self.has_started = True
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            for name in _STRIPPED_HEADERS:
                del headers[name]
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            for name, value in self._cors.items():
                headers[name] = value
            seconds = time.perf_counter() - self._started
            headers["x-process-time"] = f"{seconds:.4f}"
            self._note(message["status"], seconds)
            message = {**message, "headers": headers.raw}
        await self._send(message)
