import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modules.domain.principal import Principal
from modules.server.access import Access, HostRule
from modules.server.middleware import PUBLIC_PATHS
from tests.server.doors import knock, make_access, make_app

WHO = "/sdapi/v1/who"


def call(
    access: Access, method: str, path: str, *, client: str = "127.0.0.1", **options: object
) -> httpx.Response:
    async def run() -> httpx.Response:
        async with knock(make_app(access), client=client) as connection:
            return await connection.request(method, path, **options)  # type: ignore[arg-type]

    return asyncio.run(run())


def session(access: Access, name: str = "local") -> dict[str, str]:
    return {"cookie": f"{access.cookie}={access.accounts.open_session(Principal(name, 'admin'))}"}


def test_at_most_five_paths_are_public() -> None:
    assert len(PUBLIC_PATHS) <= 5


def test_health_answers_anybody_and_nothing_else_does(tmp_path: Path) -> None:
    access = make_access(tmp_path)
    assert call(access, "GET", "/health").json() == {"status": "ok"}
    for path in (
        WHO,
        "/",
        "/openapi.json",
        "/logout",
        "/no-such-route",
        "/gradio_api/queue/data",
        "/health/",
    ):
        assert call(access, "GET", path).status_code == 401, path


def test_a_refusal_says_how_to_authenticate(tmp_path: Path) -> None:
    answer = call(make_access(tmp_path), "GET", WHO)
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.json()["detail"] == "Not authenticated"
    assert set(answer.json()) == {"error", "detail", "body", "errors"}


def test_a_browser_is_sent_to_the_login_page(tmp_path: Path) -> None:
    answer = call(make_access(tmp_path), "GET", "/", headers={"accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_three_doors_lead_in(tmp_path: Path) -> None:
    access = make_access(tmp_path, basic={"bot": "bot password"})
    access.accounts.add_user("ann", "ann password", "artist")
    token = access.accounts.create_token("cid", "artist")
    doors: dict[str, dict[str, Any]] = {
        "local": {"headers": session(access)},
        "bot": {"auth": ("bot", "bot password")},
        "ann": {"auth": ("ann", "ann password")},
        "cid": {"headers": {"authorization": f"Bearer {token}"}},
    }
    for name, credentials in doors.items():
        assert call(access, "GET", WHO, **credentials).json()["name"] == name


def test_wrong_credentials_are_refused(tmp_path: Path) -> None:
    access = make_access(tmp_path, basic={"bot": "bot password"})
    wrong: list[dict[str, Any]] = [
        {"auth": ("bot", "wrong")},
        {"auth": ("nobody", "bot password")},
        {"headers": {"authorization": "Bearer wrong"}},
        {"headers": {"authorization": "Basic !!!"}},
        {"headers": {"authorization": b"Basic \xff\xff"}},
        {"headers": {"authorization": "Negotiate x"}},
        {"headers": {"cookie": f"{access.cookie}=wrong"}},
    ]
    for credentials in wrong:
        assert call(access, "GET", WHO, **credentials).status_code == 401


def test_guessing_passwords_is_answered_with_429(tmp_path: Path) -> None:
    access = make_access(tmp_path, basic={"bot": "bot password"})
    answers = [call(access, "GET", WHO, auth=("bot", str(i))) for i in range(30)]
    assert sum(answer.status_code == 429 for answer in answers) == 20
    assert int(answers[-1].headers["retry-after"]) > 0
    assert call(access, "GET", WHO, auth=("bot", "bot password"), client="127.0.0.2").status_code == 200
    assert call(access, "GET", WHO, headers=session(access)).status_code == 200


def test_the_api_flag_opens_the_api_to_this_machine_only(tmp_path: Path) -> None:
    access = make_access(tmp_path, api_open=True)
    assert call(access, "GET", WHO).json()["name"] == "local"
    assert call(access, "GET", "/").status_code == 401
    assert call(access, "GET", WHO, client="192.168.1.9").status_code == 401


EMPTY = ("", "Basic", "Basic ", "basic Og==", "Bearer ")


@pytest.mark.parametrize("header", [*EMPTY, "Basic bm9ib2R5OndvcmQ=", "Bearer wrong", "Negotiate x"])
def test_an_open_api_minds_no_header_that_names_nobody(tmp_path: Path, header: str) -> None:
    access = make_access(tmp_path, api_open=True)
    for _ in range(12):
        assert call(access, "GET", WHO, headers={"authorization": header}).json()["name"] == "local"
    assert not access.failures.seconds_left("127.0.0.1")
    token = access.accounts.create_token("cid", "artist")
    assert call(access, "GET", WHO, headers={"authorization": f"Bearer {token}"}).json()["name"] == "cid"


@pytest.mark.parametrize("header", EMPTY)
def test_an_empty_header_is_no_wrong_attempt_and_opens_nothing(tmp_path: Path, header: str) -> None:
    access = make_access(tmp_path, api_open=True, basic={"bot": "bot password"})
    for _ in range(12):
        answer = call(access, "GET", WHO, headers={"authorization": header})
        assert (answer.status_code, answer.json()["detail"]) == (401, "Not authenticated")


def test_a_header_that_is_no_text_is_a_wrong_attempt(tmp_path: Path) -> None:
    access = make_access(tmp_path)
    sent = {"authorization": b"Basic \xff\xff"}
    answers = [call(access, "GET", WHO, headers=sent).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_the_api_flag_opens_nothing_on_other_addresses(tmp_path: Path) -> None:
    access = make_access(tmp_path, api_open=True, loopback=False)
    assert call(access, "GET", WHO).status_code == 401


def test_api_auth_closes_the_open_api(tmp_path: Path) -> None:
    access = make_access(tmp_path, api_open=True, basic={"bot": "bot password"})
    assert call(access, "GET", WHO).status_code == 401


@pytest.mark.parametrize(
    "host", ["rebind.evil.example", "127.0.0.1.nip.io", "[::ffff:127.0.0.1]", "localhost.evil.example"]
)
def test_a_foreign_host_is_refused_whoever_asks(tmp_path: Path, host: str) -> None:
    access = make_access(tmp_path, api_open=True)
    answer = call(access, "GET", WHO, headers={"host": host, **session(access)})
    assert answer.status_code == 403
    assert call(access, "GET", "/health", headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "file://"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "cross-site"},
    ],
)
def test_other_sites_change_nothing_even_with_our_cookie(tmp_path: Path, headers: dict[str, str]) -> None:
    access = make_access(tmp_path, api_open=True)
    for content in (b"", b"{}"):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json"):
            sent = {**headers, **session(access), "content-type": kind}
            assert call(access, "POST", WHO, headers=sent, content=content).status_code == 403
    assert call(access, "POST", "/login", headers=headers).status_code == 403
    streamed = call(
        access, "GET", "/gradio_api/queue/data?session_hash=a", headers={**headers, **session(access)}
    )
    assert streamed.status_code == 403


def test_our_own_pages_and_programs_may_post(tmp_path: Path) -> None:
    access = make_access(tmp_path, api_open=True)
    own = {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"}
    assert call(access, "POST", WHO, headers=own).status_code == 200
    assert call(access, "POST", WHO).status_code == 200


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    access = make_access(tmp_path, api_open=True, max_body=1000)
    assert call(access, "POST", WHO, content=b"x" * 1000).json()["bytes"] == 1000
    assert call(access, "POST", WHO, content=b"x" * 1001).status_code == 413
    assert call(access, "POST", WHO, content=b"", headers={"content-length": "-5"}).status_code == 400
    assert call(access, "POST", WHO, content=b"", headers={"content-length": "9" * 5000}).status_code == 413


def test_a_body_without_a_length_is_bounded_too(tmp_path: Path) -> None:
    access = make_access(tmp_path, api_open=True, max_body=1000)

    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 100

    assert call(access, "POST", WHO, content=chunks(10)).json()["bytes"] == 1000
    assert call(access, "POST", WHO, content=chunks(11)).status_code == 413


def test_every_answer_carries_the_security_headers(tmp_path: Path) -> None:
    access = make_access(tmp_path, api_open=True)
    for path in ("/health", "/", WHO, "/cors", "/sdapi/v1/none"):
        headers = call(access, "GET", path, headers=session(access)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert float(headers["x-process-time"]) >= 0
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_a_bug_is_answered_without_its_details(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    access = make_access(tmp_path)
    answer = call(access, "GET", "/bug", headers=session(access))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers
    assert "/secret/path" in caplog.text


def test_a_mistake_of_the_guard_is_answered_with_its_headers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(Access, "authenticate", fails)
    answer = call(make_access(tmp_path), "GET", WHO)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers
    assert "/secret/path" in caplog.text


def test_a_page_of_gradio_belongs_to_the_user_who_opened_it(tmp_path: Path) -> None:
    access = make_access(tmp_path, basic={"ann": "ann password", "bob": "bob password"})

    async def run() -> list[int]:
        async with knock(make_app(access)) as browser:
            ann, bob = ("ann", "ann password"), ("bob", "bob password")
            join, data = "/gradio_api/queue/join", "/gradio_api/queue/data?session_hash=abc"
            body = {"session_hash": "abc", "data": [1]}
            answers = [
                await browser.post(join, json=body, auth=ann),
                await browser.get(data, auth=ann),
                await browser.get(data, auth=bob),
                await browser.post(join, json=body, auth=bob),
                await browser.post(join, json={**body, "session_hash": "xyz"}, auth=bob),
                await browser.get("/gradio_api/heartbeat/abc", auth=bob),
            ]
            assert answers[0].json() == body
            return [answer.status_code for answer in answers]

    assert asyncio.run(run()) == [200, 200, 403, 403, 200, 403]


def test_a_components_own_functions_run_only_on_the_callers_page(tmp_path: Path) -> None:
    access = make_access(tmp_path, basic={"ann": "ann password", "bob": "bob password"})
    app = make_app(access)

    @app.post("/gradio_api/component_server")
    async def component_server() -> str:
        return "done"

    async def run() -> list[int]:
        async with knock(app) as browser:
            ann, bob = ("ann", "ann password"), ("bob", "bob password")
            path, body = "/gradio_api/component_server", {"session_hash": "abc", "fn_name": "x"}
            answers = [
                await browser.post(path, json=body, auth=ann),
                await browser.post(path, json=body, auth=bob),
                await browser.post(path, data=body, files={"file": b"x"}, auth=bob),
                await browser.post(path, json={**body, "session_hash": "xyz"}, auth=bob),
            ]
            return [answer.status_code for answer in answers]

    assert asyncio.run(run()) == [200, 403, 403, 200]


def test_a_websocket_without_our_origin_or_login_is_refused(tmp_path: Path) -> None:
    access = make_access(tmp_path)
    app = make_app(access)

    @app.websocket("/live")
    async def live(socket: object) -> None:
        raise AssertionError("the guard let it through")

    async def shake_hands(headers: dict[str, str]) -> str:
        sent: list[dict[str, object]] = []

        async def send(message: object) -> None:
            sent.append(message)  # type: ignore[arg-type]

        async def receive() -> dict[str, object]:
            return {"type": "websocket.connect"}

        raw = [(key.encode(), value.encode()) for key, value in {"host": "127.0.0.1:7860", **headers}.items()]
        scope = {
            "type": "websocket",
            "path": "/live",
            "headers": raw,
            "client": ("127.0.0.1", 1),
            "query_string": b"",
        }
        await app(scope, receive, send)
        return str(sent[0]["type"])

    cookie = session(access)
    for headers in (
        {},
        cookie,
        {**cookie, "origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:7860"},
    ):
        assert asyncio.run(shake_hands(headers)) == "websocket.close"


def test_on_a_network_address_only_credentials_open_anything(tmp_path: Path) -> None:
    access = make_access(
        tmp_path, loopback=False, hosts=HostRule(frozenset(), any_address=True), basic={"ann": "ann password"}
    )
    for path in (WHO, "/", "/openapi.json"):
        assert call(access, "GET", path, client="192.168.1.9").status_code == 401
        assert (
            call(access, "GET", path, client="192.168.1.9", auth=("ann", "ann password")).status_code == 200
        )


def test_the_api_log_tells_what_was_asked_and_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="modules.server.api_log")
    access = make_access(tmp_path, api_open=True, api_log=True)
    call(access, "GET", WHO, params={"secret": "never told"})
    call(access, "GET", "/sdapi/v1/two%0Alines")
    call(access, "GET", "/health")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    moment = r"API \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
    assert re.fullmatch(moment + r" 200 http/1\.1 GET /sdapi/v1/who 127\.0\.0\.1 \d\.\d{4}", lines[0])
    assert "GET /sdapi/v1/two\\nlines " in lines[1]


def test_without_the_flag_nothing_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="modules.server.api_log")
    call(make_access(tmp_path, api_open=True), "GET", WHO)
    assert caplog.records == []


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "studio.example"},
        {"x-forwarded-for": "203.0.113.7"},
        {"forwarded": "for=203.0.113.7"},
        {"x-real-ip": "203.0.113.7"},
        {"via": "1.1 proxy"},
    ],
)
def test_what_a_proxy_hands_on_is_not_local(tmp_path: Path, headers: dict[str, str]) -> None:
    hosts = HostRule(frozenset({"127.0.0.1", "studio.example"}))
    access = make_access(tmp_path, api_open=True, hosts=hosts)
    assert call(access, "GET", WHO).status_code == 200
    assert call(access, "GET", WHO, headers=headers).status_code == 401
    assert call(access, "GET", WHO, headers={**headers, **session(access)}).status_code == 200
