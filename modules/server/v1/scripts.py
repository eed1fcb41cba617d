"""Scripts as a page shows them: their arguments, and what each may be chosen from now."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, JsonValue

from modules.domain.plot_axes import axes_of
from modules.domain.script import ArgumentKind, ScriptArgument, ScriptDeclaration
from modules.generation.scripts.choices import axis_choices, script_choices
from modules.server.errors import ERROR_RESPONSES
from modules.services import Services, catalogs_of

__all__ = ["scripts_router"]

FormTab = Annotated[
    Literal["txt2img", "img2img", "inpaint"], Path(description="the tab whose form shows the script")
]


class ArgumentModel(BaseModel):
    """One argument of a script, in its place among the arguments. What does not apply is left out."""

    id: str = Field(description="element id of its control")
    key: str = Field(description="names it among the arguments")
    label: str = Field(description="what the page calls it; a note's sentence")
    kind: ArgumentKind = Field(description='a "note" is a sentence and carries no value')
    default: JsonValue = Field(None, description="value until the user changes it")
    minimum: float | None = Field(None, description="of a number")
    maximum: float | None = Field(None, description="of a number")
    step: float | None = Field(None, description="of a slider")
    choices: list[str] = Field([], description="what may be chosen now")
    choices_by: str = Field("", description="key of the argument that decides what may be chosen (axes)")
    instead_of: str = Field("", description="key of the text that it stands for while there are choices")
    plain_text: str = Field("", description="key of the box that asks for the text all the same")
    fill: str = Field("", description="label of a button that writes all choices")
    upload: str = Field("", description="label of a button that fills the text from a file")
    lines: int = Field(1, description="height of a text")


class SwapModel(BaseModel):
    """A button that exchanges pairs of arguments, named by their keys."""

    id: str = Field(description="element id of the button")
    label: str = Field(description="what the button says")
    pairs: list[tuple[str, str]] = Field(description="keys of the arguments that change places")


class ScriptModel(BaseModel):
    """A script and its controls."""

    title: str = Field(description="for script_name")
    arguments: list[ArgumentModel] = Field(description="in the order of script_args")
    swaps: list[SwapModel] = Field([], description="buttons below its arguments")


class ScriptsModel(BaseModel):
    """All scripts of a tab."""

    scripts: list[ScriptModel] = Field(description="in the order of the list")
    axes: dict[str, list[str]] = Field(
        description="what may be chosen for the axes of plots whose values are names"
    )


def scripts_router(services: Services) -> APIRouter:
    """The route that the page builds its scripts' controls from."""
    router = APIRouter(prefix="/api/v1", tags=["scripts"])

    @router.get(
        "/scripts/{tab}", responses=ERROR_RESPONSES, summary="Scripts", response_model_exclude_defaults=True
    )
    def scripts(tab: FormTab) -> ScriptsModel:
        """The scripts that a form offers, with what their arguments may be chosen from now."""
        kind = "txt2img" if tab == "txt2img" else "img2img"
        lists = script_choices(catalogs_of(services), services.settings.current, kind)
        found = services.plugins.scripts.declarations(kind)
        axes = {axis.label: list(axis_choices(lists, axis.label, kind)) for axis in axes_of(kind)}
        return ScriptsModel(
            scripts=[_described(declaration, tab, lists) for declaration in found],
            axes={label: names for label, names in axes.items() if names},
        )

    return router


def _described(declaration: ScriptDeclaration, tab: str, lists: Mapping[str, tuple[str, ...]]) -> ScriptModel:
    return ScriptModel(
        title=declaration.title,
        arguments=[
            _argument(one, lists, declaration.element_id(tab, one.key)) for one in declaration.arguments
        ],
        swaps=[
            SwapModel(id=declaration.element_id(tab, swap.key), label=swap.label, pairs=list(swap.pairs))
            for swap in declaration.swaps
        ],
    )


def _argument(argument: ScriptArgument, lists: Mapping[str, tuple[str, ...]], element: str) -> ArgumentModel:
    return ArgumentModel(
        id=element,
        key=argument.key,
        label=argument.label,
        kind=argument.kind,
        default=argument.shown_default(lists),
        minimum=argument.minimum,
        maximum=argument.maximum,
        step=argument.step,
        choices=list(argument.offered(lists)),
        choices_by=argument.choices_by,
        instead_of=argument.instead_of,
        plain_text=argument.plain_text,
        fill=argument.fill,
        upload=argument.upload,
        lines=argument.lines,
    )
