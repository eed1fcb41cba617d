"""Limits of the forms' fields as ``ui-config.json`` wants them (A1111's file of defaults).

Values of that file are not built in: the browser asks for them when it opens a form, so that a change shows
without a restart.
"""

import logging

import gradio as gr
from gradio.components import Component

from modules.settings.ui_config import UiConfig
from modules.webui.tab import GenerationTab

__all__ = ["apply_form_limits"]

log = logging.getLogger(__name__)


def apply_form_limits(tab: GenerationTab, config: UiConfig) -> None:
    """Change minimum, maximum, step and visibility of a tab's fields; wrong entries are told to the log."""
    changes = config.changes(tab.name)
    for key in tab.form.keys:
        field = tab.form[key]
        for name, value in changes.get(str(field.label), {}).items():
            if name != "value" and not _apply(field, name, value):
                log.warning("%s: %s/%s/%s cannot be %r", config.path.name, tab.name, field.label, name, value)


def _apply(field: Component, name: str, value: object) -> bool:
    if name == "visible":
        if isinstance(value, bool):
            field.visible = value
        return isinstance(value, bool)
    if not isinstance(field, gr.Slider) or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    limits = {"minimum": field.minimum, "maximum": field.maximum, "step": field.step, name: value}
    if not (limits["minimum"] < limits["maximum"] and limits["step"] > 0):
        return False
    setattr(field, name, value)
    return True
