import asyncio
import gzip

from starlette.types import Message, Receive, Scope, Send

from modules.server.compression import LARGEST, Compression
from tests.server.studio import Studio

GZIP = {"accept-encoding": "gzip"}


def test_lists_are_sent_smaller_to_who_can_read_them(studio: Studio) -> None:
    small = studio.get("/sdapi/v1/options", headers=GZIP)
    plain = studio.get("/sdapi/v1/options", headers={"accept-encoding": "identity"})
    assert small.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["vary"]
    assert "content-encoding" not in plain.headers
    assert small.json() == plain.json()
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2


def test_short_answers_and_pictures_are_sent_as_they_are(studio: Studio) -> None:
    assert "content-encoding" not in studio.get("/internal/ping", headers=GZIP).headers
    assert "content-encoding" not in studio.get("/health", headers=GZIP).headers


def answered(headers: list[tuple[bytes, bytes]], parts: list[bytes]) -> list[Message]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for index, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": index < len(parts) - 1})

    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", b"gzip")]}
    asyncio.run(Compression(app)(scope, receive, send))
    return sent


def json_headers(length: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]


def test_an_answer_in_parts_is_put_together() -> None:
    start, body = answered(json_headers(2000), [b"a" * 1000, b"b" * 1000])
    assert gzip.decompress(body["body"]) == b"a" * 1000 + b"b" * 1000
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()


def test_streams_large_answers_and_compressed_ones_pass_untouched() -> None:
    for headers in (
        [(b"content-type", b"text/event-stream")],
        json_headers(LARGEST + 1),
        [*json_headers(2000), (b"content-encoding", b"br")],
        [(b"content-type", b"image/png"), (b"content-length", b"2000")],
    ):
        sent = answered(headers, [b"x" * 1000, b"y" * 1000])
        assert [message.get("body") for message in sent[1:]] == [b"x" * 1000, b"y" * 1000]


def test_what_says_so_is_sent_as_it_is() -> None:
    headers = [*json_headers(2000), (b"cache-control", b"no-transform")]
    messages = answered(headers, [b"a" * 2000])
    assert messages[1]["body"] == b"a" * 2000


def test_a_page_is_compressed_however_large_it_is() -> None:
    page = b"<p>words</p>" * 100_000
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(page)).encode())]
    start, body = answered(headers, [page])
    assert gzip.decompress(body["body"]) == page
    assert dict(start["headers"])[b"content-encoding"] == b"gzip"
