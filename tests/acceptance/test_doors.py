"""Checks 1, 4, 5, 9, 16, 17, 22: who gets in, and what for."""

import hashlib
import itertools
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import httpx

from modules.server.run import bind_socket
from modules.submission import server_settings
from tests.acceptance.conftest import Check
from tests.server.route_table import every_route, full_app
from tests.server.studio import Studio, open_studio

ROOT = Path(__file__).resolve().parents[2]
ANN, BOB = ("ann", "ann password"), ("bob", "bob password")
PUBLIC = {"/login", "/health"}
SMALL = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5}
NOBODYS = "0" * 32


def concrete(path: str, value: str = NOBODYS) -> str:
    """A route's path with something in the place of each parameter."""
    return re.sub(r"\{[^}]+\}", value, path)


def cookie_of(studio: Studio, name: str, role: str = "artist") -> dict[str, str]:
    """The cookie of somebody who has logged in in a browser."""
    from modules.domain.principal import Principal

    session = studio.access.accounts.open_session(Principal(name, role))  # type: ignore[arg-type]
    return {"cookie": f"{studio.access.cookie}={session}"}


def test_01_every_route_is_closed_to_strangers(check: Check, tmp_path: Path) -> None:
    with open_studio(tmp_path, api_open=False, basic=dict([ANN])) as studio:
        studio.__dict__["app"] = full_app(studio)
        routes = [(method, path) for method, path, _ in every_route(studio.app)]
        pages = ["/", "/config", "/theme.css", "/gradio_api/queue/join", "/gradio_api/upload", "/docs",
                 "/openapi.json", "/no/such/thing", "//login", "/metrics"]  # fmt: skip
        asked = [*routes, *itertools.product(("GET", "POST", "DELETE"), pages)]

        async def knock(client: httpx.AsyncClient) -> list[tuple[str, str, int]]:
            answers = [(m, p, await client.request(m, concrete(p))) for m, p in asked]
            return [(m, p, answer.status_code) for m, p, answer in answers]

        open_paths = {p for _, p, status in studio.run(knock) if status not in (401, 403, 404, 405)}
    check.measured = f"{len(asked)} requests to {len(routes)} routes; open: {sorted(open_paths) or 'none'}"
    assert len(routes) >= 60
    assert open_paths <= PUBLIC
    assert len(PUBLIC) <= 5


def state_of(studio: Studio) -> str:
    """What no foreign request may change."""
    jobs = [job.id for job in studio.services.jobs.recent("ann", 500)]
    text = studio.services.settings.current.model_dump_json() + json.dumps(jobs)
    return hashlib.sha256(text.encode()).hexdigest()


def test_04_requests_from_other_sites_change_nothing(check: Check, tmp_path: Path) -> None:
    origins = ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"})
    bodies: tuple[dict[str, object], ...] = (
        {},
        {"content": b"{}", "headers": {"content-type": "text/plain"}},
        {"data": {"prompt": "x"}},
        {"files": {"file": b"x"}},
        {"json": SMALL},
    )
    with open_studio(tmp_path, basic=dict([ANN])) as studio:
        studio.__dict__["app"] = full_app(studio)
        unsafe = [(m, p) for m, p, _ in every_route(studio.app) if m not in ("GET", "HEAD", "OPTIONS")]
        session = cookie_of(studio, "ann", "admin")
        before = state_of(studio)

        async def attack(client: httpx.AsyncClient) -> list[int]:
            statuses = []
            for (method, path), origin, body in itertools.product(unsafe, origins, bodies):
                headers = {**session, **origin, **body.get("headers", {})}  # type: ignore[dict-item]
                rest = {key: value for key, value in body.items() if key != "headers"}
                answer = await client.request(method, concrete(path), headers=headers, **rest)  # type: ignore[arg-type]
                statuses.append(answer.status_code)
            return statuses

        statuses = studio.run(attack)
        unchanged = state_of(studio) == before
    check.measured = (
        f"{len(statuses)} requests, {statuses.count(403)} answered 403, state unchanged: {unchanged}"
    )
    assert set(statuses) == {403}
    assert unchanged


def test_05_foreign_names_and_origins_are_refused(check: Check, tmp_path: Path) -> None:
    hosts = ("rebind.evil.com", "127.0.0.1.nip.io", "localhost.evil.com", "[::ffff:127.0.0.1]", "",
             "127.0.0.1@evil.com", "evil.com:7860", "127.0.0.1 evil.com")  # fmt: skip
    with open_studio(tmp_path, basic=dict([ANN])) as studio:
        session = cookie_of(studio, "ann")
        paths = [
            "/",
            "/health",
            "/login",
            "/sdapi/v1/options",
            "/openapi.json",
            "/files/x",
            "/gradio_api/info",
        ]

        async def ask(client: httpx.AsyncClient) -> tuple[list[int], int]:
            refused, reflected = [], 0
            for host, path in itertools.product(hosts, paths):
                evil = {**session, "host": host, "origin": "https://evil.com"}
                answer = await client.get(path, headers=evil)
                refused.append(answer.status_code)
                reflected += answer.headers.get("access-control-allow-origin") is not None
            for path in paths:
                answer = await client.get(path, headers={**session, "origin": "https://evil.com"})
                reflected += answer.headers.get("access-control-allow-origin") is not None
            return refused, reflected

        refused, reflected = studio.run(ask)
        names_us = studio.get("/health").status_code
    check.measured = (
        f"{len(hosts)} names x {len(paths)} paths: {len(refused)} refused, {reflected} origins allowed"
    )
    assert all(400 <= status < 500 for status in refused)
    assert reflected == 0
    assert names_us == 200


def test_09_nobody_reads_what_is_anothers(check: Check, tmp_path: Path) -> None:
    with open_studio(tmp_path, basic=dict([ANN, BOB])) as studio:
        studio.__dict__["app"] = full_app(studio)
        job = studio.post("/api/v1/jobs", SMALL, auth=ANN).json()["id"]
        view = studio.services.jobs.wait(job, 30)
        image = view.images[0].id
        routes = [(m, p) for m, p, _ in every_route(studio.app) if re.search(r"\{(job|image)_id\}", p)]
        compared = different = leaked = 0
        for method, path in routes:
            own = image if "{image_id}" in path else job
            made_up = "x" * len(own) if "{image_id}" in path else NOBODYS
            body: dict[str, object] | None = {} if method in ("POST", "PUT", "PATCH") else None
            theirs = studio.request(method, concrete(path, own), json=body, auth=BOB)
            nobodys = studio.request(method, concrete(path, made_up), json=body, auth=BOB)
            compared += 1
            same = theirs.content.replace(own.encode(), b"") == nobodys.content.replace(made_up.encode(), b"")
            different += not (same and theirs.status_code == nobodys.status_code)
            leaked += theirs.status_code < 400
        listed = [studio.get(path, auth=BOB).text for path in ("/api/v1/jobs", "/api/v1/queue")]
        leaked += sum(job in text or image in text for text in listed)
        mine = studio.get(f"/files/{image}", auth=ANN).status_code
    check.measured = f"{compared} routes that take an id: {leaked} leaks, {different} telling answers"
    assert compared >= 10
    assert (leaked, different, mine) == (0, 0, 200)


def test_16_nobody_anonymous_from_the_network(check: Check, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "modules.cli", "--data-dir", str(tmp_path), "--no-browser"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    refused = subprocess.run(
        [*command, "--listen", "--port", "0"], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=240, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    listener = bind_socket("127.0.0.1", 0)
    address = listener.getsockname()[0]
    listener.close()
    users = subprocess.run(
        [*command, "users", "token", "ann"], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=240, check=True,
    )  # fmt: skip
    token = users.stdout.strip()
    files = [path for path in (tmp_path / "data").iterdir() if path.name.startswith("accounts")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in files}
    stored = any(token.encode() in path.read_bytes() for path in files)
    check.measured = (
        f"--listen without users: exit {refused.returncode}; default address {address}; "
        f"file modes {', '.join(sorted(oct(mode) for mode in modes))}; token stored in clear: {stored}"
    )
    assert refused.returncode == 2
    assert "users add" in refused.stderr
    assert token not in refused.stderr
    assert (address, modes, stored) == ("127.0.0.1", {0o600}, False)


def test_17_settings_are_the_administrators(check: Check, tmp_path: Path) -> None:
    keys = sorted(server_settings())
    with open_studio(tmp_path, basic=dict([BOB])) as studio:
        token = studio.access.accounts.create_token("ann", "artist")
        artist = {"authorization": f"Bearer {token}"}
        before = studio.services.settings.current
        whole = studio.post("/sdapi/v1/options", {"outdir_samples": "/"}, headers=artist).status_code
        refused = [
            studio.post(
                "/api/v1/jobs",
                {**SMALL, "override_settings": {key: getattr(before, key, "")}},
                headers=artist,
            ).status_code
            for key in keys
        ]
        own = {**SMALL, "override_settings": {"CLIP_stop_at_last_layers": 2}}
        allowed = studio.post("/api/v1/jobs", own, headers=artist)
        studio.services.jobs.wait(allowed.json()["id"], 30)
        seen = studio.get("/sdapi/v1/options", auth=BOB).json()["CLIP_stop_at_last_layers"]
        unchanged = studio.services.settings.current == before
    check.measured = (
        f"POST /options: {whole}; {len(keys)} server settings as overrides: "
        f"{sum(status in (403, 422) for status in refused)} refused; "
        f"overrides seen by others: {int(seen != 1)}"
    )
    assert whole == 403
    assert all(status in (403, 422) for status in refused)
    assert allowed.status_code == 201
    assert seen == 1
    assert unchanged


def test_22_passwords_cannot_be_guessed(check: Check, tmp_path: Path) -> None:
    tries = check.count(100, 1000)
    with open_studio(tmp_path) as studio:
        studio.access.accounts.add_user("ann", "ann password", "artist")

        async def guess(client: httpx.AsyncClient) -> list[int]:
            return [
                (await client.post("/login", data={"name": "ann", "password": f"guess {n}"})).status_code
                for n in range(tries)
            ]

        statuses = studio.run(guess)
        right = studio.request("POST", "/login", data={"name": "ann", "password": "ann password"})
        studio.access.failures.forget()
        known = "fixed-by-an-attacker"
        answer = studio.request(
            "POST", "/login", data={"name": "ann", "password": "ann password"},
            headers={"cookie": f"{studio.access.cookie}={known}"},
        )  # fmt: skip
        set_cookie = answer.headers["set-cookie"]
        session = set_cookie.split(";")[0]
        inside = studio.get("/api/v1/jobs", headers={"cookie": session}).status_code
        studio.request("POST", "/logout", headers={"cookie": session})
        outside = studio.get("/api/v1/jobs", headers={"cookie": session}).status_code
    limited = statuses.count(429)
    flags = set_cookie.split("; ", 1)[1]
    check.measured = f"{limited} of {tries} guesses answered 429; cookie {flags}; after logout {outside}"
    assert limited >= tries - 20
    assert right.status_code == 429  # also a right guess, until the window is over
    assert known not in set_cookie
    assert "HttpOnly" in set_cookie
    assert "samesite=strict" in set_cookie.lower()
    assert (inside, outside) == (200, 401)
