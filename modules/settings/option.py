"""How one option is declared: default, label, place on the page and limits, all beside the field."""

from dataclasses import dataclass
from typing import Literal, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from modules.settings.sections import Section

__all__ = ["Component", "OptionInfo", "SettingsModel", "option", "option_info"]

Component = Literal["checkbox", "slider", "number", "text", "radio", "dropdown", "multiselect", "color"]
T = TypeVar("T")


class SettingsModel(BaseModel):
    """Base of every group of options: immutable, without unknown keys, NaN or infinity."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        str_max_length=20_000,  # far above any pattern or list of tags; keeps the settings file small
    )


@dataclass(frozen=True)
class OptionInfo:
    """What the settings page and the metadata reader need to know of one option.

    Attributes:
        key: A1111's name of the option.
        choices: the allowed values, empty where they are open or known only at run time.
        minimum, maximum, step: of a slider, None elsewhere.
        infotext: key under which generation parameters carry the value, None when they do not.
        restart: whether a change shows only after the page was reloaded.
        inert: kept for clients and files that carry it; nothing here goes by it, and no page shows it.
    """

    key: str
    default: JsonValue
    label: str
    section: Section
    component: Component
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    infotext: str | None = None
    restart: bool = False
    inert: bool = False


def option(
    default: T,
    label: str,
    section: Section,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    step: float | None = None,
    soft: bool = False,
    component: Component | None = None,
    infotext: str | None = None,
    restart: bool = False,
    inert: bool = False,
) -> T:
    """Declare one option of a :class:`SettingsModel`.

    Args:
        default: A1111's default.
        label: A1111's text beside the input; localisation files use it as their key.
        section: the page it is shown on.
        minimum: lower end of the slider.
        maximum: upper end of the slider.
        step: distance between two positions of the slider.
        soft: the ends bind the slider only; requests may go beyond them.
        component: input element where it does not follow from the type.
        infotext: key of the value in generation parameters.
        restart: a change shows only after the page was reloaded.
        inert: A1111's clients know the option, but nothing here goes by it.

    Returns:
        The field's definition, typed as the field's value, as pydantic's ``Field`` does.
    """
    details: JsonDict = {
        "section": section.id,
        "section_title": section.title,
        "category": section.category,
        "label": label,
        "minimum": minimum,
        "maximum": maximum,
        "step": step,
        "component": component,
        "infotext": infotext,
        "restart": restart,
        "inert": inert,
    }
    kept: JsonDict = {
        key: value for key, value in details.items() if value is not None and value is not False
    }
    field: T = Field(
        default=default,
        description=label,
        ge=None if soft else minimum,
        le=None if soft else maximum,
        pattern="^#[0-9a-fA-F]{6}$" if component == "color" else None,
        json_schema_extra=kept,
    )
    return field


def option_info(key: str, field: FieldInfo) -> OptionInfo:
    """Read back what :func:`option` declared for the field ``key``."""
    extra = field.json_schema_extra
    if not isinstance(extra, dict):
        raise TypeError(f"{key} was not declared by option()")
    annotation = field.annotation
    choices = (
        tuple(str(choice) for choice in get_args(annotation)) if get_origin(annotation) is Literal else ()
    )
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return OptionInfo(
        key=key,
        default=cast("JsonValue", default),
        label=str(extra["label"]),
        section=Section(str(extra["section"]), str(extra["section_title"]), str(extra["category"])),
        component=_component(extra, choices, default),
        choices=choices,
        minimum=_number(extra, "minimum"),
        maximum=_number(extra, "maximum"),
        step=_number(extra, "step"),
        infotext=cast("str | None", extra.get("infotext")),
        restart=bool(extra.get("restart", False)),
        inert=bool(extra.get("inert", False)),
    )


def _number(extra: JsonDict, key: str) -> float | None:
    value = extra.get(key)
    return value if isinstance(value, int | float) else None


def _component(extra: JsonDict, choices: tuple[str, ...], default: JsonValue) -> Component:
    if "component" in extra:
        return cast("Component", extra["component"])
    if choices:
        return "radio" if len(choices) <= 4 else "dropdown"
    if "maximum" in extra:
        return "slider"
    if isinstance(default, bool):
        return "checkbox"
    if isinstance(default, int | float):
        return "number"
    if isinstance(default, list):
        return "multiselect"
    return "dropdown" if default is None else "text"
