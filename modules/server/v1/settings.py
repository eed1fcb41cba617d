"""Settings with all that a form needs to show them. The flat list of A1111 is ``/sdapi/v1/options``."""

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field, JsonValue

from modules.checkpoints.catalog import AUTOMATIC_VAE, BAKED_IN_VAE
from modules.domain.languages import LanguageCatalog
from modules.generation.settings_check import checked_changes
from modules.server.errors import ERROR_RESPONSES, require_admin
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.services import Services
from modules.settings.option import Component, OptionInfo
from modules.settings.options import describe_options
from modules.submission import settings_seen_by

__all__ = ["SettingModel", "SettingsModel", "settings_router"]


class SettingModel(BaseModel):
    """One setting: what it is called, where it stands, what it may be, and what it is."""

    key: str = Field(description="A1111's name of it")
    label: str = Field(description="what the page calls it")
    section: str = Field(description="title of the page that it stands on")
    category: str = Field(description="group of pages")
    component: Component = Field(description="how it is best entered")
    choices: list[str] = Field(description="allowed values; empty where anything is allowed")
    minimum: float | None = Field(description="lower end of the slider")
    maximum: float | None = Field(description="upper end of the slider")
    step: float | None = Field(description="distance between two positions of the slider")
    restart: bool = Field(description="whether a change shows only after the page was reloaded")
    default: JsonValue = Field(description="value of a new installation")
    value: JsonValue = Field(description="value now")


class SettingsModel(BaseModel):
    """All settings in the order of the settings page."""

    editable: bool = Field(description="whether the caller may change them")
    settings: list[SettingModel] = Field(description="those that have a page")


def settings_router(services: Services) -> APIRouter:
    """Routes ``/api/v1/settings``."""
    router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["settings"], responses=ERROR_RESPONSES)

    @router.get("/settings")
    def settings(caller: Caller) -> SettingsModel:
        """Every setting that has a page, with its description and its value."""
        values = settings_seen_by(services, caller)
        found = _run_time_choices(services)
        return SettingsModel(
            editable=caller.is_admin,
            settings=[
                _setting_model(info, values[info.key], found.get(info.key, info.choices))
                for info in describe_options()
                if info.section.category != "hidden" and not info.inert
            ],
        )

    @router.patch("/settings")
    def change(
        changes: Annotated[dict[str, JsonValue], Body(examples=[{"jpeg_quality": 90}])], caller: Caller
    ) -> dict[str, JsonValue]:
        """Change some settings for everybody; answers their new values. Administrators only."""
        require_admin(caller)
        current = services.settings.current
        after = services.settings.update(checked_changes(changes, current, services.catalog)).as_json()
        return {key: after[key] for key in changes if key in after}

    return router


def _setting_model(info: OptionInfo, value: JsonValue, choices: tuple[str, ...]) -> SettingModel:
    return SettingModel(
        key=info.key,
        label=info.label,
        section=info.section.title,
        category=info.section.category,
        component="dropdown" if choices and info.component == "text" else info.component,
        choices=list(choices),
        minimum=info.minimum,
        maximum=info.maximum,
        step=info.step,
        restart=info.restart,
        default=info.default,
        value=value,
    )


def _run_time_choices(services: Services) -> dict[str, tuple[str, ...]]:
    """Choices that depend on what is installed."""
    folders = services.options.folders
    return {
        "sd_model_checkpoint": ("", *(file.title for file in services.catalog.checkpoints())),
        "sd_vae": (AUTOMATIC_VAE, BAKED_IN_VAE, *(file.name for file in services.catalog.vaes())),
        "interrogate_clip_skip_categories": services.interrogator.categories(),
        "localization": ("None", *LanguageCatalog.of(folders.data.parent, folders.extensions).names()),
    }
