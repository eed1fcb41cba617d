"""How JSON bodies are read."""

import asyncio
import threading

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, JsonValue
from starlette.types import Message, Scope

from modules.server import gradio_sessions, json_body
from modules.server.gradio_sessions import GradioSessions
from modules.server.json_body import LARGE_BODY, JsonRoute

PADDING = b" " * LARGE_BODY


class Sent(BaseModel):
    content: JsonValue


@pytest.fixture(scope="module")
def client() -> TestClient:
    router = APIRouter(route_class=JsonRoute)

    @router.post("/echo")
    async def echo(sent: Sent) -> JsonValue:
        return [sent.content, threading.get_ident()]

    app = FastAPI()
    app.include_router(router)
    return TestClient(app)


@pytest.mark.parametrize("padding", [b"", PADDING])
def test_half_a_pair_becomes_a_question_mark(client: TestClient, padding: bytes) -> None:
    body = padding + rb'{"content": {"\ud800": ["\udfff", "\u00e9", "\ud83d\ude00", 1, null]}}'

    answer = client.post("/echo", content=body, headers={"content-type": "application/json"})

    assert answer.json()[0] == {"?": ["?", "é", "😀", 1, None]}


@pytest.mark.parametrize("padding", [b"", PADDING])
def test_what_is_no_json_is_refused(client: TestClient, padding: bytes) -> None:
    answer = client.post("/echo", content=padding + b"[1,", headers={"content-type": "application/json"})

    assert answer.status_code == 422


@pytest.mark.parametrize("unit", [b"[],", b'{"a":'])
def test_hundreds_of_thousands_of_lists_or_objects_are_refused(client: TestClient, unit: bytes) -> None:
    answer = client.post("/echo", content=unit * 250_001, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert "250,000 lists and objects" in answer.text


@pytest.mark.parametrize(("padding", "apart"), [(b"", False), (PADDING, True)])
def test_only_large_bodies_leave_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, padding: bytes, apart: bool
) -> None:
    threads: list[int] = []

    def noted(value: JsonValue) -> JsonValue:
        threads.append(threading.get_ident())
        return value

    monkeypatch.setattr(json_body, "_clean", noted)
    body = padding + rb'{"content": "\u0041"}'

    answer = client.post("/echo", content=body, headers={"content-type": "application/json"})

    assert answer.json()[0] == "A"
    assert (threads != [answer.json()[1]]) == apart


@pytest.mark.parametrize(("padding", "apart"), [(b"", False), (PADDING, True)])
def test_a_large_body_of_a_page_leaves_the_event_loop_too(
    monkeypatch: pytest.MonkeyPatch, padding: bytes, apart: bool
) -> None:
    threads: list[int] = []
    read = gradio_sessions._hash_in

    def noted(body: bytes) -> list[str]:
        threads.append(threading.get_ident())
        return read(body)

    async def receive() -> Message:
        return {"type": "http.request", "body": padding + b'{"session_hash": "a"}', "more_body": False}

    async def both() -> tuple[bool, bool]:
        sessions = GradioSessions()
        scope: Scope = {"path": "/gradio_api/queue/join", "query_string": b"", "method": "POST"}
        mine = await sessions.admit(scope, receive, "me")
        return mine is not None, await sessions.admit(scope, receive, "you") is None

    monkeypatch.setattr(gradio_sessions, "_hash_in", noted)

    assert asyncio.run(both()) == (True, True)
    assert (threading.get_ident() not in threads) == apart
