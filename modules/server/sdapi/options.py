"""Settings and flags over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field, JsonValue

from modules.exceptions import ForbiddenError, NotFoundError
from modules.generation.settings_check import checked_changes
from modules.server.answer_types import NULL_ANSWER
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.server.sysinfo import public_flags
from modules.services import Services
from modules.settings.options import describe_options
from modules.submission import settings_seen_by

__all__ = ["options_router"]

_READ_ONLY = "sd_checkpoint_hash"


class QuickSetting(BaseModel):
    """A setting's key and label."""

    name: str = Field(description="key")
    label: str = Field(description="as the settings page calls it")


def options_router(services: Services) -> APIRouter:
    """Routes for settings."""
    router = APIRouter(route_class=JsonRoute, tags=["settings"])

    @router.get("/sdapi/v1/options")
    def get_options(caller: Caller) -> dict[str, JsonValue]:
        """All settings by key; the checkpoint is the one in use, its hash is empty until it is known."""
        options = settings_seen_by(services, caller)
        options["sd_model_checkpoint"], options[_READ_ONLY] = _checkpoint_in_use(services)
        return options

    @router.post("/sdapi/v1/options", responses=NULL_ANSWER)
    def set_options(
        changes: Annotated[dict[str, JsonValue], Body(examples=[{"CLIP_stop_at_last_layers": 2}])],
        caller: Caller,
    ) -> None:
        """Change some settings for everybody; unknown keys and nulls are ignored. Administrators only."""
        if not caller.is_admin:
            raise ForbiddenError("settings belong to the administrator; use override_settings in a request")
        given = {key: value for key, value in changes.items() if value is not None and key != _READ_ONLY}
        services.settings.update(checked_changes(given, services.settings.current, services.catalog))

    @router.get("/sdapi/v1/cmd-flags")
    def cmd_flags() -> dict[str, JsonValue]:
        """The command line as far as clients may know it: no secrets, no paths."""
        return public_flags(services.options)

    @router.get("/internal/quicksettings-hint")
    def quicksettings_hint() -> list[QuickSetting]:
        """Every setting's key and label."""
        return [QuickSetting(name=info.key, label=info.label) for info in describe_options()]

    return router


def _checkpoint_in_use(services: Services) -> tuple[str | None, str]:
    """Title and SHA-256 of the checkpoint that the next picture is made with."""
    wanted = services.settings.current.sd_model_checkpoint
    try:
        files = (services.catalog.find_checkpoint(wanted),) if wanted else services.catalog.checkpoints()
    except NotFoundError:
        return wanted, ""
    return (files[0].title, files[0].known_sha256 or "") if files else (None, "")
