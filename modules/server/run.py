"""Bind, decide who may call, serve, and end cleanly."""

import errno
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from modules.exceptions import WebuiError
from modules.server.access import LOCAL_HOSTS, Access, HostRule, is_loopback
from modules.server.accounts import AccountStore
from modules.server.lifecycle import Lifecycle
from modules.server.origins import parse_origins
from modules.server.slow_clients import PatientProtocol
from modules.server.supervisor import is_restarted, is_supervised
from modules.settings.launch import LaunchOptions

__all__ = ["RefusedToStartError", "bind_socket", "login_url", "open_access", "serve", "show_page"]

log = logging.getLogger(__name__)

GRACE_SECONDS = 3  # for answers under way when the server ends
BACKLOG = 2048


class RefusedToStartError(WebuiError):
    """The server cannot or must not run with these options."""


def bind_socket(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 takes a free one.

    Raises:
        RefusedToStartError: the port is taken, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise RefusedToStartError(f"{port} is no port; choose one from 1 to 65535 with --port")
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise RefusedToStartError(f"there is no address {host}:{port}: {error}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise RefusedToStartError(f"port {port} is taken; choose another with --port") from error
        raise RefusedToStartError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def open_access(options: LaunchOptions, listener: socket.socket) -> Access:
    """Who may call, decided from the address that the socket is really bound to.

    Raises:
        RefusedToStartError: the network could reach the server, but nobody could log in; or a site that
            should be let in has no proper name.
    """
    address, port = listener.getsockname()[:2]
    loopback = is_loopback(address)
    try:
        origins = parse_origins(options.cors_origins, options.cors_origins_regex)
    except ValueError as error:
        raise RefusedToStartError(f"--cors-allow-origins: {error}") from error
    names = {name.lower() for name in options.allowed_hosts} | LOCAL_HOSTS.names
    if not loopback:
        machine = socket.gethostname().lower()
        names |= {machine, f"{machine}.local"}
    access = Access(
        accounts=AccountStore(options.folders.data / "accounts.sqlite3"),
        hosts=HostRule(frozenset(names), any_address=not loopback),
        loopback=loopback,
        api_open=options.api,
        basic=dict(options.api_auth),
        api_log=options.api_log,
        tls=options.tls_certfile is not None,
        origins=origins,
        port=port,
    )
    if not loopback and not access.has_credentials():
        access.accounts.close()
        raise RefusedToStartError(
            f"{address} can be reached from the network, so somebody must be able to log in. Add a user with "
            "'python webui.py users add NAME' or start with --api-auth NAME:PASSWORD."
        )
    access.accounts.end_outdated_sessions(access.basic, loopback=loopback)
    return access


def login_url(access: Access, listener: socket.socket, path: str = "/") -> str:
    """Address to open in a browser; with a one-time link as long as there are no users."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if access.tls else "http"
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = socket.gethostname()
    base = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    return f"{base}{path}" if access.has_credentials() else f"{base}/login?token={access.links.issue()}"


def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    lifecycle: Lifecycle,
    tls: tuple[Path, Path] | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> int:
    """Run until a signal or ``lifecycle`` ends it; returns the exit status.

    Args:
        app: the guarded application.
        listener: from :func:`bind_socket`.
        lifecycle: may end the server, and holds the exit status.
        tls: certificate and key files.
        on_ready: called once requests are answered.
    """
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the caller's address decides what is open to him
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=None if tls is None else tls[0],
        ssl_keyfile=None if tls is None else tls[1],
        lifespan="on",
    )
    server = _Server(config, on_ready)

    def shut_down() -> None:
        server.should_exit = True

    lifecycle.runs_with(shut_down)
    if is_supervised():
        _follow_supervisor(shut_down)
    with _mild_signals():
        server.run(sockets=[listener])
    return lifecycle.exit_status


def show_page(url: str) -> None:
    """Open a browser, unless this start only replaces a crashed server that had pages open."""
    if not is_restarted():
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


class _Server(uvicorn.Server):
    """uvicorn's server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()


@contextmanager
def _mild_signals() -> Iterator[None]:
    """Uvicorn raises a signal again after its clean end; what follows it here must still be done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda _number, _frame: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow_supervisor(shut_down: Callable[[], None]) -> None:
    """End with the supervisor: it holds the other end of our standard input."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):  # unbuffered: no lock is held while the program ends
            pass
        log.info("the supervisor is gone")
        shut_down()

    threading.Thread(target=watch, name="supervisor watch", daemon=True).start()
