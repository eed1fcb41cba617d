"""Settings that the owner wants at hand above the tabs (A1111's ``quicksettings_list``).

Like the checkpoint they belong to the page and travel inside each request. So only settings that a request
may carry can stand there: not where files go, and nothing of the server itself.
"""

from collections.abc import Mapping

import gradio as gr
from gradio.components import Component
from pydantic import JsonValue

from modules.settings.option import OptionInfo
from modules.settings.options import Settings, describe_options
from modules.submission import server_settings

__all__ = ["quick_overrides", "quick_options"]

PREFIX = "setting_"
_ALWAYS_THERE = ("sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers")
_CATEGORIES = ("sd", "postprocessing", "ui")


def quick_options(settings: Settings) -> dict[str, Component]:
    """Make a component for each wanted setting; returns them by key, in the wanted order."""
    infos = {info.key: info for info in describe_options()}
    values = settings.as_json()
    return {
        key: _component(infos[key], values[key])
        for key in dict.fromkeys(settings.quicksettings_list)
        if key in infos
        and key not in _ALWAYS_THERE
        and infos[key].section.category in _CATEGORIES
        and not infos[key].restart
        and key not in server_settings()
    }


def quick_overrides(values: Mapping[str, object]) -> dict[str, JsonValue]:
    """Settings for one request out of a form's values: quick settings but the checkpoint and empty ones."""
    found: dict[str, JsonValue] = {}
    for key, value in values.items():
        option = key.removeprefix(PREFIX)
        if option in (key, "sd_model_checkpoint"):
            continue
        if isinstance(value, (str, int, float)) and value != "":
            found[option] = value
        elif isinstance(value, list):
            found[option] = [str(item) for item in value]
    return found


def _component(info: OptionInfo, value: JsonValue) -> Component:
    label, elem_id = info.label, f"{PREFIX}{info.key}"
    number = value if isinstance(value, int | float) else 0
    chosen = [str(item) for item in value] if isinstance(value, list) else []
    match info.component:
        case "checkbox":
            return gr.Checkbox(bool(value), label=label, elem_id=elem_id, min_width=140)
        case "slider":
            low, high = info.minimum or 0, info.maximum or 1
            return gr.Slider(low, high, number, step=info.step, label=label, elem_id=elem_id, buttons=[])
        case "number":
            precision = 0 if isinstance(info.default, int) else None
            return gr.Number(number, precision=precision, label=label, elem_id=elem_id, min_width=140)
        case "multiselect":
            offered = list(info.choices or chosen)
            return gr.Dropdown(
                offered, value=chosen, multiselect=True, allow_custom_value=True, label=label, elem_id=elem_id
            )
        case "radio" | "dropdown":
            return gr.Dropdown(
                list(info.choices),
                value=str(value or ""),
                allow_custom_value=not info.choices,
                label=label,
                elem_id=elem_id,
                min_width=140,
            )
        case "color":
            return gr.ColorPicker(str(value), label=label, elem_id=elem_id)
        case _:
            return gr.Textbox(str(value or ""), label=label, elem_id=elem_id, min_width=160)
