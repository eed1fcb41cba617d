"""The styles of ``styles.csv``: read by everybody, changed by who may change the server's files."""

from fastapi import APIRouter
from pydantic import BaseModel, Field, field_validator

from modules.domain.styles import Style
from modules.exceptions import NotFoundError
from modules.server.errors import ERROR_RESPONSES, require_admin
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.services import Services

__all__ = ["styles_router"]


class StyleModel(BaseModel):
    """A named piece of prompt; ``{prompt}`` in it stands for the prompt, else it is appended."""

    name: str = Field(min_length=1, max_length=200, description="for requests", examples=["Ink"])
    prompt: str = Field("", max_length=20_000, description="what it adds")
    negative_prompt: str = Field("", max_length=20_000, description="what it adds to the negative prompt")

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        name = name.strip()
        if not name or name.startswith("#") or not name.isprintable():
            raise ValueError("a style's name is one line and does not begin with #")
        return name


class StyleName(BaseModel):
    """Which style."""

    name: str = Field(max_length=200, description="of the style", examples=["Ink"])


def styles_router(services: Services) -> APIRouter:
    """Routes under /api/v1/styles."""
    router = APIRouter(
        prefix="/api/v1/styles", route_class=JsonRoute, tags=["prompts"], responses=ERROR_RESPONSES
    )

    @router.get("")
    def list_styles() -> list[StyleModel]:
        """All styles in the order of the files, which are read again."""
        services.styles.reload()
        return [
            StyleModel.model_construct(
                name=style.name, prompt=style.prompt, negative_prompt=style.negative_prompt
            )
            for style in services.styles.styles.values()
            if style.path is not None
        ]

    @router.put("")
    def save_style(style: StyleModel, caller: Caller) -> StyleModel:
        """Add a style, or replace the one of its name."""
        require_admin(caller)
        services.styles.save(Style(style.name, style.prompt, style.negative_prompt))
        return style

    @router.post("/delete")
    def delete_style(style: StyleName, caller: Caller) -> StyleName:
        """Remove a style from its file."""
        require_admin(caller)
        if services.styles.find(style.name) is None:
            raise NotFoundError("name", f"there is no style {style.name!r}")
        services.styles.delete(style.name)
        return style

    return router
