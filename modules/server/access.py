"""The rules of the door: which hosts, which credentials, what is open to whom.

Three doors lead to the same check: a session cookie, a bearer token, HTTP Basic. On a loopback bind
``--api`` opens A1111's routes to local programs without credentials, unless ``--api-auth`` asks for them.
A header without a name or token in it counts as none: clients send one when nothing was filled in.
"""

import base64
import hmac
import ipaddress
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modules.domain.principal import LOCAL, Principal
from modules.server.accounts import AccountStore
from modules.server.failure_limit import FailureLimit
from modules.server.origins import OriginRule
from modules.server.traffic import Traffic

__all__ = ["LOCAL_HOSTS", "PAGE_CHALLENGE", "Access", "HostRule", "LoginLinks", "Refusal", "is_loopback"]

LINK_SECONDS = 3600
PAGE_CHALLENGE = 'Bearer realm="studio"'  # for Basic a browser would open a password dialog of its own
_OPEN_PREFIXES = (
    "/sdapi/v1/",
    "/internal/",
    "/sd_extra_networks/",
    "/app_id",
    "/docs",
    "/redoc",
    "/openapi.json",
)
_NO_NAME_NO_PASSWORD = base64.b64encode(b":").decode()
_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?\Z", re.IGNORECASE)


def is_loopback(address: str) -> bool:
    """Whether an IP address is one of the machine itself; names are never."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


@dataclass(frozen=True)
class HostRule:
    """Names under which the server may be addressed; a defence against DNS rebinding.

    Attributes:
        names: lower-case host names without port.
        any_address: also any IP address; a rebinding attack needs a name.
    """

    names: frozenset[str]
    any_address: bool = False

    def allows(self, header: str) -> bool:
        """Whether a ``Host`` header names this server."""
        match = _HOST.match(header)
        if match is None:
            return False
        name = match[1].lower()
        return name in self.names or (self.any_address and _is_address(name.strip("[]")))


LOCAL_HOSTS = HostRule(frozenset({"localhost", "127.0.0.1", "[::1]"}))


class LoginLinks:
    """One-time tokens that turn a link into a browser session. Kept in memory only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: dict[str, tuple[Principal, float]] = {}

    def issue(self, principal: Principal = LOCAL) -> str:
        """Make a token that works once, within an hour."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._links[token] = (principal, time.monotonic() + LINK_SECONDS)
        return token

    def redeem(self, token: str) -> Principal | None:
        """Use a token up; None when it is wrong, used or too old."""
        with self._lock:
            principal, expires = self._links.pop(token, (None, 0.0))
        return principal if expires > time.monotonic() else None


@dataclass(frozen=True)
class Refusal:
    """Why nobody was recognised. ``retry_after`` in seconds when the address guesses too much."""

    detail: str
    retry_after: int = 0


@dataclass(frozen=True)
class Access:
    """Who may call what. Built once, when the server knows the address it is bound to.

    Attributes:
        loopback: whether the socket is bound to a loopback address.
        api_open: ``--api``: local programs may use A1111's routes without credentials.
        basic: user name -> password of ``--api-auth``.
        api_log: ``--api-log``: a line in the log for each answer of A1111's routes.
        tls: cookies are marked Secure.
        origins: other sites whose pages may call.
        max_body: largest request body in bytes.
    """

    accounts: AccountStore
    hosts: HostRule
    loopback: bool = True
    api_open: bool = False
    basic: Mapping[str, str] = field(default_factory=dict)
    api_log: bool = False
    tls: bool = False
    origins: OriginRule = field(default_factory=OriginRule)
    port: int = 7860
    max_body: int = 256 * 2**20  # a dozen large pictures as base64
    links: LoginLinks = field(default_factory=LoginLinks)
    failures: FailureLimit = field(default_factory=FailureLimit)
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def cookie(self) -> str:
        """Name of the session cookie; browsers share cookies between the ports of a host."""
        return f"studio_session_{self.port}"

    def has_credentials(self) -> bool:
        """Whether anybody could prove who he is; without that no other address than loopback."""
        return bool(self.basic) or self.accounts.has_credentials()

    def is_multi_user(self) -> bool:
        """Whether callers may be different people."""
        return not self.loopback or self.has_credentials()

    def authenticate(
        self, path: str, client: str, headers: Mapping[str, str], cookies: Mapping[str, str]
    ) -> Principal | Refusal:
        """Find out who is calling.

        Args:
            path: path of the request.
            client: IP address of the caller.
            headers: of the request, found in lower case.
            cookies: cookies by name.
        """
        authorization = headers.get("authorization", "")
        session = cookies.get(self.cookie)
        principal = self.accounts.check_session(session) if session else None
        if principal is not None:
            return principal
        says_who = _holds_credentials(authorization)
        if self._is_open(path, client, headers):
            return (says_who and self._by_header(authorization)) or LOCAL
        if says_who:
            return self._check(client, lambda: self._by_header(authorization))
        return Refusal("Not authenticated")

    def log_in(self, client: str, name: str, password: str) -> Principal | Refusal:
        """Check a name and password from the login page."""
        return self._check(client, lambda: self._by_password(name, password))

    def log_in_by_link(self, client: str, token: str) -> Principal | Refusal:
        """Redeem a one-time login link."""
        return self._check(client, lambda: self.links.redeem(token))

    def _is_open(self, path: str, client: str, headers: Mapping[str, str]) -> bool:
        """Whether a local program asks for a route that needs no credentials; a proxy is no local program."""
        if not self.api_open or self.basic or not path.startswith(_OPEN_PREFIXES):
            return False
        direct = LOCAL_HOSTS.allows(headers.get("host", "")) and not any(map(headers.get, _PROXY_HEADERS))
        return self.loopback and is_loopback(client) and direct

    def _check(self, client: str, find: Callable[[], Principal | None]) -> Principal | Refusal:
        left = self.failures.seconds_left(client)
        if left:
            return Refusal(f"Too many wrong attempts; wait {left} seconds", left)
        principal = find()
        if principal is None:
            self.failures.failed(client)
            return Refusal("Incorrect username or password")
        return principal

    def _by_header(self, authorization: str) -> Principal | None:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self.accounts.check_token(value.strip())
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:  # not base64, not ASCII or not UTF-8
            return None
        return self._by_password(name, password)

    def _by_password(self, name: str, password: str) -> Principal | None:
        expected = self.basic.get(name)
        if expected is not None and hmac.compare_digest(expected.encode(), password.encode()):
            return Principal(name, "admin")
        return self.accounts.check_password(name, password)


def _holds_credentials(authorization: str) -> bool:
    """Whether a header names somebody at all; a bare scheme and Basic's ``:`` do not."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() not in ("", "basic", "bearer"):
        return True
    return value.strip() not in ("", _NO_NAME_NO_PASSWORD)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
