"""Smaller answers: lists, options and pages are compressed for clients that ask for it.

Pictures as base64 are sent as they are: compressing a picture a second time takes longer than sending it, on
the machine itself and in a local network alike. Their routes say so (:func:`already_compressed`), and JSON of
more than 512 KiB holds one. The page itself is as large and becomes a sixth of that: over the air of a phone
that is a fifth of a second.
"""

import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ALREADY_COMPRESSED", "Compression", "already_compressed"]

SMALLEST = 1000  # bytes; A1111's
LARGEST = 512 * 1024  # bytes of JSON
LEVEL = 5  # within 3 % of the best on JSON, at a third of its time
_AS_IT_IS = "no-transform"  # RFC 9111, section 5.2.2.6
ALREADY_COMPRESSED = {"cache-control": _AS_IT_IS}  # headers of an answer that is sent as it is
_TYPES = ("application/json", "text/html", "text/plain", "text/css", "text/javascript")


def already_compressed(response: Response) -> None:
    """A route's dependency: its answers, which hold pictures, are sent as they are."""
    response.headers.update(ALREADY_COMPRESSED)


class Compression:
    """ASGI middleware that compresses whole answers of known length; streams pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        accepts = scope["type"] == "http" and "gzip" in Headers(scope=scope).get("accept-encoding", "")
        if not accepts or scope["method"] == "HEAD":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Answer(send).send)


class _Answer:
    """Holds an answer back until it is whole, if it is one to be compressed."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """Take a message from the application."""
        if message["type"] == "http.response.start" and _is_wanted(Headers(raw=list(message["headers"]))):
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        start, self._start = self._start, None
        compressed = gzip.compress(self._body, LEVEL, mtime=0)
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-encoding"] = "gzip"
        headers["content-length"] = str(len(compressed))
        headers.add_vary_header("Accept-Encoding")
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": compressed})


def _is_wanted(headers: Headers) -> bool:
    length = headers.get("content-length", "")
    kind = headers.get("content-type", "").partition(";")[0]
    return (
        "content-encoding" not in headers
        and _AS_IT_IS not in headers.get("cache-control", "")
        and kind in _TYPES
        and length.isdigit()
        and int(length) >= SMALLEST
        and (kind != "application/json" or int(length) <= LARGEST)
    )
