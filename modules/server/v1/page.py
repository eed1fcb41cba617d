"""What a page needs to know when it is opened: who looks at it, how its tools behave, its forms' defaults."""

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field, JsonValue, StringConstraints, ValidationError

from modules.domain.request import GenerationRequest
from modules.exceptions import WebuiError
from modules.imaging.files import write_replacing
from modules.server.errors import ERROR_RESPONSES, require_admin
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.server.v1.estimate import EstimateModel, estimated
from modules.services import Services
from modules.settings.ui_config import UiConfig
from modules.submission import check_settings_allowed

__all__ = ["page_router"]

TOOL_OPTIONS = (
    "disable_token_counters",
    "extra_networks_add_text_separator",
    "extra_networks_card_height",
    "extra_networks_card_order",
    "extra_networks_card_order_field",
    "extra_networks_card_show_desc",
    "extra_networks_card_text_scale",
    "extra_networks_card_width",
    "extra_networks_default_multiplier",
    "extra_networks_hidden_models",
    "extra_networks_show_hidden_directories",
    "keyedit_delimiters",
    "keyedit_delimiters_whitespace",
    "keyedit_move",
    "keyedit_precision_attention",
    "keyedit_precision_extra",
    "lora_show_all",
    "show_progress_in_title",
)

Tab = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PageModel(BaseModel):
    """The visitor and the settings of the page's tools."""

    user: str = Field(description="under whose name this browser remembers forms")
    editable: bool = Field(description="whether the visitor may change files of the server")
    options: dict[str, JsonValue] = Field(description="settings that tools of the page go by")


class Defaults(BaseModel):
    """Values with which a form begins, by the labels of its fields."""

    values: dict[Label, JsonValue] = Field(max_length=200, description="by label", examples=[{"Steps": 30}])


def page_router(services: Services) -> APIRouter:
    """Routes under /api/v1/page."""
    router = APIRouter(
        prefix="/api/v1/page", route_class=JsonRoute, tags=["settings"], responses=ERROR_RESPONSES
    )
    config = UiConfig(services.options.folders.data / "ui-config.json")

    @router.get("")
    def page(caller: Caller) -> PageModel:
        """Who looks at the page, and how its tools behave."""
        current = services.settings.current.as_json()
        return PageModel(
            user=caller.name,
            editable=caller.is_admin,
            options={key: current[key] for key in TOOL_OPTIONS},
        )

    @router.post("/estimate")
    def estimate(
        form: Annotated[dict[str, JsonValue], Body(examples=[{"width": 1024, "height": 1024}])],
        caller: Caller,
    ) -> EstimateModel | None:
        """What a form would cost, in the fields of a request; null while it cannot be done as it is."""
        try:
            request = GenerationRequest.model_validate(form)
            check_settings_allowed(request.override_settings, caller)
            return estimated(services, request, caller.name)
        except (ValidationError, WebuiError):
            return None  # the form is being filled; Generate says what is wrong

    @router.get("/defaults/{tab}")
    def defaults(tab: Tab) -> Defaults:
        """Values with which a form begins, where they are not those it was built with."""
        changes = config.changes(tab)
        return Defaults(
            values={label: fields["value"] for label, fields in changes.items() if "value" in fields}
        )

    @router.put("/defaults/{tab}")
    def save_defaults(tab: Tab, wanted: Defaults, caller: Caller) -> Defaults:
        """Let everybody's form of this tab begin with these values (A1111's ``ui-config.json``)."""
        require_admin(caller)
        write_replacing(config.path, config.with_values(tab, wanted.values).encode("utf-8"))
        return defaults(tab)

    @router.delete("/defaults/{tab}")
    def drop_defaults(tab: Tab, caller: Caller) -> Defaults:
        """Let the form of this tab begin as it was built."""
        require_admin(caller)
        write_replacing(config.path, config.without_values(tab).encode("utf-8"))
        return defaults(tab)

    return router
