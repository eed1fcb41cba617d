"""Scripts that clients may name in a request."""

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import BaseModel, Field, JsonValue

from modules.domain.request import SoftInpainting
from modules.domain.script import BOTH_TABS, ScriptDeclaration
from modules.domain.script import ScriptArgument as DeclaredArgument
from modules.exceptions import RequestError
from modules.generation.scripts.catalog import ScriptCatalog
from modules.generation.scripts.choices import script_choices
from modules.server.sdapi.payloads import ImageToImagePayload, Payload
from modules.services import Services, catalogs_of

__all__ = [
    "SOFT_INPAINTING",
    "ScriptArgument",
    "ScriptInfo",
    "ScriptTitles",
    "check_scripts",
    "scripts_router",
]

# Parts of A1111's page that its API knows as scripts and that have no effect there: the request's own
# fields and settings say the same. Clients send them along, and what an extension shows of such a request.
_PAGE_ONLY = ("refiner", "sampler", "seed", "comments", "extra options", "hypertile")
_UNLISTED = ("api payload",)
SOFT_INPAINTING = "soft inpainting"


class ScriptArgument(BaseModel):
    """One argument of a script."""

    label: str | None = Field(None, description="what the page calls it; null for a note")
    value: JsonValue = Field(None, description="default")
    minimum: JsonValue = Field(None, description="of a number")
    maximum: JsonValue = Field(None, description="of a number")
    step: JsonValue = Field(None, description="of a slider")
    choices: list[str] | None = Field(None, description="allowed values, where they are few")


class ScriptInfo(BaseModel):
    """A script and its arguments."""

    name: str = Field(description="lower-case title")
    is_alwayson: bool = Field(description="whether it runs without being chosen")
    is_img2img: bool = Field(description="whether this entry is of the img2img tab")
    args: list[ScriptArgument] = Field(description="in the order of script_args")


class ScriptTitles(BaseModel):
    """Titles by tab, in lower case."""

    txt2img: list[str] = Field(description="scripts of that tab")
    img2img: list[str] = Field(description="scripts of that tab")


def check_scripts(scripts: ScriptCatalog, payload: Payload) -> None:
    """Refuse scripts that are not there; a request must not silently do something else.

    Raises:
        RequestError: A1111's words, status 422.
    """
    tab = "img2img" if isinstance(payload, ImageToImagePayload) else "txt2img"
    if payload.script_name:
        scripts.find(payload.script_name, tab)
    selectable = {declaration.title.lower() for declaration in scripts.declarations(tab)}
    for title in payload.alwayson_scripts or {}:
        if title.lower() in selectable:
            raise RequestError(
                "alwayson_scripts", "Cannot have a selectable script in the always on scripts params"
            )
        if title.lower() not in (*_PAGE_ONLY, *_UNLISTED, SOFT_INPAINTING):
            raise RequestError("alwayson_scripts", f"Script '{title}' not found")


def scripts_router(services: Services) -> APIRouter:
    """Routes that list scripts."""
    router = APIRouter(tags=["scripts"])

    @router.get("/sdapi/v1/scripts")
    def scripts() -> ScriptTitles:
        """Titles of all scripts."""
        found = services.plugins.scripts
        titles = {
            tab: [declaration.title.lower() for declaration in found.declarations(tab)] for tab in BOTH_TABS
        }
        return ScriptTitles(
            txt2img=[*titles["txt2img"], *_PAGE_ONLY],
            img2img=[*titles["img2img"], *_PAGE_ONLY, SOFT_INPAINTING],
        )

    @router.get("/sdapi/v1/script-info")
    def script_info() -> list[ScriptInfo]:
        """Scripts with their arguments."""
        found, infos = services.plugins.scripts, list[ScriptInfo]()
        for tab in BOTH_TABS:
            lists = script_choices(catalogs_of(services), services.settings.current, tab)
            infos += [_described(declaration, tab, lists) for declaration in found.declarations(tab)]
            infos += [
                ScriptInfo(name=title, is_alwayson=True, is_img2img=tab == "img2img", args=[])
                for title in _PAGE_ONLY
            ]
        return [*infos, _soft_inpainting()]

    return router


def _described(declaration: ScriptDeclaration, tab: str, lists: Mapping[str, tuple[str, ...]]) -> ScriptInfo:
    return ScriptInfo(
        name=declaration.title.lower(),
        is_alwayson=False,
        is_img2img=tab == "img2img",
        args=[_argument(argument, lists) for argument in declaration.arguments],
    )


def _argument(argument: DeclaredArgument, lists: Mapping[str, tuple[str, ...]]) -> ScriptArgument:
    choices = argument.offered(lists)
    return ScriptArgument(
        label=None if argument.kind == "note" else argument.label,
        value=argument.shown_default(lists),
        minimum=argument.minimum,
        maximum=argument.maximum,
        step=argument.step,
        choices=list(choices) if choices else None,
    )


def _soft_inpainting() -> ScriptInfo:
    arguments = [ScriptArgument(label="Soft inpainting", value=False)]
    for name, field in SoftInpainting.model_fields.items():
        arguments.append(ScriptArgument(label=name.replace("_", " ").capitalize(), value=field.default))
    return ScriptInfo(name=SOFT_INPAINTING, is_alwayson=True, is_img2img=True, args=arguments)
