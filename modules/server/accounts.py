"""Users, API tokens and browser sessions in one private SQLite file.

Only digests are stored: passwords as scrypt with a salt of their own, tokens and session ids (256 random
bits each) as SHA-256. Sessions survive a restart of the server.
"""

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from modules.domain.principal import LOCAL, Principal, Role
from modules.exceptions import NotFoundError, RequestError

__all__ = ["AccountStore"]

SESSION_DAYS = 90
_MINIMUM_PASSWORD = 8
_REMEMBERED = 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, salt BLOB NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS tokens (digest BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    digest BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, expires REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS launched (name TEXT PRIMARY KEY, salt BLOB NOT NULL, digest BLOB NOT NULL);
"""


class AccountStore:
    """Who may come in, by password, token or session cookie. Thread-safe."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)  # SQLite gives its side files the same mode
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.executescript(_SCHEMA)
        # A password that nobody has, so that an unknown name costs as much time as a known one.
        self._nobody: tuple[bytes, bytes] = (secrets.token_bytes(16), secrets.token_bytes(32))

        # scrypt is slow on purpose; programs that send Basic with each request are recognised by these.
        self._process_key = secrets.token_bytes(32)
        self._verified: dict[bytes, None] = {}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def has_credentials(self) -> bool:
        """Whether anybody could log in: there is a user or a token."""
        return bool(self._all("SELECT 1 FROM users UNION ALL SELECT 1 FROM tokens LIMIT 1"))

    def users(self) -> tuple[Principal, ...]:
        """All users by name."""
        return tuple(
            Principal(name, role) for name, role in self._all("SELECT name, role FROM users ORDER BY 1")
        )

    def add_user(self, name: str, password: str, role: Role) -> None:
        """Add a user or give an existing one a new password and role.

        His sessions end. His tokens stay, but give no more than the new role does.

        Raises:
            RequestError: the name is not a plain word, or the password is too short.
        """
        if not name.isidentifier() or len(name) > 64:
            raise RequestError("name", "a user's name is one word of letters, digits and underscores")
        if len(password) < _MINIMUM_PASSWORD:
            raise RequestError("password", f"a password has at least {_MINIMUM_PASSWORD} characters")
        salt = secrets.token_bytes(16)
        self._run("REPLACE INTO users VALUES (?, ?, ?, ?)", name, role, salt, _scrypt(password, salt))
        self._run("DELETE FROM sessions WHERE name = ?", name)
        if role == "artist":
            self._run("UPDATE tokens SET role = ? WHERE name = ?", role, name)

    def remove_user(self, name: str) -> None:
        """Remove a user with all his sessions and tokens.

        Raises:
            NotFoundError: there is no such user.
        """
        if not self._all("SELECT 1 FROM users WHERE name = ?", name):
            raise NotFoundError("name", f"there is no user {name}")
        for table in ("users", "tokens", "sessions"):
            self._run(f"DELETE FROM {table} WHERE name = ?", name)  # noqa: S608 - names of the tuple above

    def check_password(self, name: str, password: str) -> Principal | None:
        """The user with this name and password; takes as long for an unknown name."""
        rows = self._all("SELECT salt, digest, role FROM users WHERE name = ?", name)
        salt, digest = rows[0][:2] if rows else self._nobody
        quick = hmac.digest(self._process_key, digest + password.encode("utf-8", "surrogateescape"), "sha256")
        matches = quick in self._verified or hmac.compare_digest(_scrypt(password, salt), digest)
        if not rows or not matches:
            return None
        self._verified[quick] = None
        while len(self._verified) > _REMEMBERED:
            del self._verified[next(iter(self._verified))]
        return Principal(name, rows[0][2])

    def create_token(self, name: str, role: Role) -> str:
        """Make a bearer token for programs; it is shown once and cannot be read again."""
        token = secrets.token_urlsafe(32)
        self._run("INSERT INTO tokens VALUES (?, ?, ?)", _sha256(token), name, role)
        return token

    def check_token(self, token: str) -> Principal | None:
        """The owner of a bearer token."""
        rows = self._all("SELECT name, role FROM tokens WHERE digest = ?", _sha256(token))
        return Principal(*rows[0]) if rows else None

    def open_session(self, principal: Principal) -> str:
        """Start a browser session; returns the value of its cookie."""
        session = secrets.token_urlsafe(32)
        expires = time.time() + SESSION_DAYS * 86400
        self._run("DELETE FROM sessions WHERE expires < ?", time.time())
        self._run(
            "INSERT INTO sessions VALUES (?, ?, ?, ?)",
            _sha256(session),
            principal.name,
            principal.role,
            expires,
        )
        return session

    def check_session(self, session: str) -> Principal | None:
        """The principal of a browser session."""
        rows = self._all(
            "SELECT name, role FROM sessions WHERE digest = ? AND expires > ?", _sha256(session), time.time()
        )
        return Principal(*rows[0]) if rows else None

    def end_outdated_sessions(self, basic: Mapping[str, str], *, loopback: bool) -> None:
        """End the sessions of an earlier start that this one would not open again.

        Args:
            basic: name -> password of ``--api-auth``. Sessions of a name end when its password has changed,
                or when it is gone.
            loopback: whether only this machine can reach the server; otherwise the sessions of one-time
                links, which are for whoever sits at it, end.
        """
        before = {name: rest for name, *rest in self._all("SELECT name, salt, digest FROM launched")}
        for name in before.keys() | basic.keys():
            if name in before and name in basic:
                salt, digest = before[name]
                if hmac.compare_digest(_scrypt(basic[name], salt), digest):
                    continue
            self._run("DELETE FROM sessions WHERE name = ?", name)
            self._run("DELETE FROM launched WHERE name = ?", name)
            if name in basic:
                salt = secrets.token_bytes(16)
                self._run("INSERT INTO launched VALUES (?, ?, ?)", name, salt, _scrypt(basic[name], salt))
        if not loopback and LOCAL.name not in basic:
            self._run("DELETE FROM sessions WHERE name = ?", LOCAL.name)

    def close_session(self, session: str) -> None:
        """End a browser session; its cookie is worth nothing from now on."""
        self._run("DELETE FROM sessions WHERE digest = ?", _sha256(session))

    def _all(self, sql: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _run(self, sql: str, *values: object) -> None:
        with self._lock:
            self._db.execute(sql, values)


def _scrypt(password: str, salt: bytes) -> bytes:
    # 16 MB and about 50 ms: cheap for one login, dear for a dictionary
    return hashlib.scrypt(password.encode("utf-8", "surrogateescape"), salt=salt, n=2**14, r=8, p=1)


def _sha256(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()
