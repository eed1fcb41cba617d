"""Scripts that clients may name in a request."""

from fastapi import APIRouter
from pydantic import BaseModel, Field, JsonValue

from modules.domain.request import SoftInpainting
from modules.exceptions import RequestError
from modules.server.sdapi.payloads import Payload

__all__ = [
    "SOFT_INPAINTING",
    "ScriptArgument",
    "ScriptInfo",
    "ScriptTitles",
    "check_scripts",
    "scripts_router",
]

# Parts of A1111's page that its API knows as scripts and that have no effect there: the request's own
# fields say the same. Clients send them along.
_PAGE_ONLY = ("refiner", "sampler", "seed")
SOFT_INPAINTING = "soft inpainting"


class ScriptArgument(BaseModel):
    """One argument of a script."""

    label: str | None = None
    value: JsonValue = None
    minimum: JsonValue = None
    maximum: JsonValue = None
    step: JsonValue = None
    choices: list[str] | None = None


class ScriptInfo(BaseModel):
    """A script and its arguments."""

    name: str = Field(description="lower-case title")
    is_alwayson: bool
    is_img2img: bool
    args: list[ScriptArgument]


class ScriptTitles(BaseModel):
    """Titles by tab, in lower case."""

    txt2img: list[str]
    img2img: list[str]


def check_scripts(payload: Payload) -> None:
    """Refuse scripts that are not there; a request must not silently do something else.

    Raises:
        RequestError: A1111's words, status 422.
    """
    if payload.script_name:
        raise RequestError("script_name", f"Script '{payload.script_name}' not found")
    for title in payload.alwayson_scripts or {}:
        if title.lower() not in (*_PAGE_ONLY, SOFT_INPAINTING):
            raise RequestError("alwayson_scripts", f"Script '{title}' not found")


def scripts_router() -> APIRouter:
    """Routes that list scripts."""
    router = APIRouter(tags=["scripts"])

    @router.get("/sdapi/v1/scripts")
    def scripts() -> ScriptTitles:
        """Titles of all scripts."""
        return ScriptTitles(txt2img=list(_PAGE_ONLY), img2img=[*_PAGE_ONLY, SOFT_INPAINTING])

    @router.get("/sdapi/v1/script-info")
    def script_info() -> list[ScriptInfo]:
        """Scripts with their arguments."""
        page_only = [
            ScriptInfo(name=title, is_alwayson=True, is_img2img=is_img2img, args=[])
            for is_img2img in (False, True)
            for title in _PAGE_ONLY
        ]
        arguments = [ScriptArgument(label="Soft inpainting", value=False)]
        for name, field in SoftInpainting.model_fields.items():
            arguments.append(ScriptArgument(label=name.replace("_", " ").capitalize(), value=field.default))
        soft = ScriptInfo(name=SOFT_INPAINTING, is_alwayson=True, is_img2img=True, args=arguments)
        return [*page_only, soft]

    return router
