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

__all__ = ["options_router"]


class QuickSetting(BaseModel):
    """A setting's key and label."""

    name: str = Field(description="key")
    label: str = Field(description="as the settings page calls it")


def options_router(services: Services) -> APIRouter:
    """Routes for settings."""
    router = APIRouter(route_class=JsonRoute, tags=["settings"])

    @router.get("/sdapi/v1/options")
    def get_options() -> dict[str, JsonValue]:
        """All settings by key; the checkpoint is the one in use."""
        options = services.settings.current.as_json()
        options["sd_model_checkpoint"] = _checkpoint_in_use(services)
        return options

    @router.post("/sdapi/v1/options", responses=NULL_ANSWER)
    def set_options(
        changes: Annotated[dict[str, JsonValue], Body(examples=[{"CLIP_stop_at_last_layers": 2}])],
        caller: Caller,
    ) -> None:
        """Change some settings for everybody; unknown keys are ignored. Administrators only."""
        if not caller.is_admin:
            raise ForbiddenError("settings belong to the administrator; use override_settings in a request")
        current = services.settings.current
        services.settings.update(checked_changes(changes, current, services.catalog))

    @router.get("/sdapi/v1/cmd-flags")
    def cmd_flags() -> dict[str, JsonValue]:
        """The command line as far as clients may know it: no secrets, no paths."""
        return public_flags(services.options)

    @router.get("/internal/quicksettings-hint")
    def quicksettings_hint() -> list[QuickSetting]:
        """Every setting's key and label."""
        return [QuickSetting(name=info.key, label=info.label) for info in describe_options()]

    return router


def _checkpoint_in_use(services: Services) -> str | None:
    wanted = services.settings.current.sd_model_checkpoint
    try:
        if wanted:
            return services.catalog.find_checkpoint(wanted).title
    except NotFoundError:
        return wanted
    return next((file.title for file in services.catalog.checkpoints()), None)
