"""Clients that stop in the middle of what they say."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from modules.server import middleware, slow_clients
from modules.server.lifecycle import Lifecycle
from modules.server.run import bind_socket, serve
from modules.server.slow_clients import PatientProtocol
from tests.server.doors import make_access, make_app

HEAD = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A real server."""
    access = make_access(tmp_path_factory.mktemp("slow"))
    listener = bind_socket("127.0.0.1", 0)
    ready, lifecycle = threading.Event(), Lifecycle()
    arguments = {"lifecycle": lifecycle, "on_ready": ready.set}
    thread = threading.Thread(target=serve, args=(make_app(access), listener), kwargs=arguments)
    thread.start()
    assert ready.wait(30)
    yield listener.getsockname()
    lifecycle.stop()
    thread.join(30)
    listener.close()
    access.accounts.close()
    assert not thread.is_alive()


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
    return received


@pytest.mark.parametrize("begun", [b"", b"G", HEAD])
def test_a_head_that_does_not_end_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, address: tuple[str, int], begun: bytes
) -> None:
    monkeypatch.setattr(slow_clients, "HEAD_SECONDS", 0.5)
    with socket.create_connection(address, timeout=30) as connection:
        with suppress(OSError):  # a machine that stood still: it is closed already
            connection.sendall(begun)

        assert all_of(connection) == b""


def test_a_body_that_does_not_come_is_answered_and_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, address: tuple[str, int]
) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.3)
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(POST + b"na")

        answer = all_of(connection)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer.lower()


class _Line(asyncio.Transport):
    """A connection that goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...


def test_only_the_head_of_a_request_is_waited_for() -> None:
    async def converse() -> list[asyncio.TimerHandle | None]:
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            asked.set()
            await go_on.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        config = uvicorn.Config(app, log_config=None)
        config.load()
        protocol, line = PatientProtocol(config, ServerState(), {}), _Line()
        timers: list[asyncio.TimerHandle | None] = []

        def say(said: bytes) -> None:
            protocol.data_received(said)
            timers.append(protocol._head_timer)

        protocol.connection_made(line)
        timers.append(protocol._head_timer)
        say(HEAD)
        say(b"\r\n")
        await asked.wait()
        go_on.set()
        await asyncio.gather(*protocol.tasks)
        say(b"GET")
        say(b" /")
        protocol.connection_lost(None)
        timers.append(protocol._head_timer)
        assert line.written.startswith(b"HTTP/1.1 204")
        return timers

    opened, begun, complete, further, trickled, lost = asyncio.run(converse())

    assert opened is begun is not None
    assert complete is None
    assert further is trickled is not None
    assert lost is None
