"""A guarded application with a few routes, and clients that knock at it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from modules.server.access import Access, HostRule
from modules.server.accounts import AccountStore
from modules.server.errors import install_error_handlers
from modules.server.health import health_router
from modules.server.login import login_router
from modules.server.middleware import GuardedApp

LOCAL_HOSTS = HostRule(frozenset({"127.0.0.1", "localhost", "[::1]"}))


def make_access(folder: Path, **options: object) -> Access:
    accounts = AccountStore(folder / "accounts.sqlite3")
    return Access(accounts=accounts, **{"hosts": LOCAL_HOSTS, **options})  # type: ignore[arg-type]


def make_app(access: Access) -> FastAPI:
    app = GuardedApp(access, title="test", version="0")
    install_error_handlers(app)
    app.include_router(login_router(access))
    app.include_router(health_router())

    @app.get("/sdapi/v1/who")
    @app.post("/sdapi/v1/who", include_in_schema=False)
    async def who(request: Request) -> dict[str, object]:
        body = await request.body()
        return {"name": request.state.principal.name, "bytes": len(body)}

    @app.get("/")
    async def page(request: Request) -> str:
        return request.state.owner

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("/secret/path")

    @app.get("/cors")
    async def cors() -> StreamingResponse:
        headers = {"access-control-allow-origin": "https://evil.example", "server": "x"}
        return StreamingResponse(iter(["a", "b"]), headers=headers)

    @app.post("/gradio_api/queue/join")
    async def join(request: Request) -> object:
        return await request.json()

    @app.get("/gradio_api/queue/data")
    async def stream(session_hash: str) -> str:
        return session_hash

    return app


@asynccontextmanager
async def knock(
    app: FastAPI, *, client: str = "127.0.0.1", base_url: str = "http://127.0.0.1:7860"
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=(client, 5000), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as connection:
        yield connection
