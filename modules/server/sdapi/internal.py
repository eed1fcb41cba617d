"""What A1111's page asks its server beside the API: signs of life, times, and a report of the machine."""

import json
import secrets

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field, JsonValue

from modules.server.answer_types import Responses
from modules.server.errors import require_admin
from modules.server.identity import Caller
from modules.server.startup import StartupProfile, StartupTimes
from modules.server.sysinfo import system_report
from modules.services import Services

__all__ = ["internal_router"]


_REPORT: Responses = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "the file"}
}


class AppId(BaseModel):
    """A name of this run of the server."""

    app_id: str = Field(description="differs after each start", examples=["5f0c3a9be1"])


def internal_router(services: Services, startup: StartupTimes) -> APIRouter:
    """Routes under /internal that are not about jobs."""
    router = APIRouter(tags=["server"])
    run = AppId(app_id=secrets.token_hex(5))

    @router.get("/internal/ping")
    def ping() -> dict[str, str]:
        """A sign of life."""
        return {}

    @router.get("/app_id")
    def app_id() -> AppId:
        """A sign of life that launch scripts wait for; the name differs after each start."""
        return run

    @router.get("/internal/profile-startup")
    def profile_startup() -> StartupProfile:
        """How long the parts of the start took."""
        return startup.profile()

    @router.get("/internal/sysinfo")
    def sysinfo(caller: Caller) -> dict[str, JsonValue]:
        """Versions, device, memory and changed settings, for reports of faults; no secrets, no paths."""
        require_admin(caller)
        return {**system_report(services), "Startup": startup.profile().model_dump()}

    @router.get("/internal/sysinfo-download", response_class=Response, responses=_REPORT)
    def sysinfo_download(caller: Caller) -> Response:
        """The same as a file."""
        text = json.dumps(sysinfo(caller), indent=4, ensure_ascii=False)
        headers = {"content-disposition": 'attachment; filename="sysinfo.json"'}
        return Response(text, media_type="application/json", headers=headers)

    return router
