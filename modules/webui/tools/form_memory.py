"""Forms that browsers remember, with undo and redo of everything.

Only the browser knows what was typed: these events run there, in ``page/form_memory.js``, and never ask the
server. The browser looks at a form when somebody has touched it, and when the server says that it has written
into it (:data:`~modules.webui.form.form.WRITTEN`); to listen for the change of each field would make the page
slow to open.
"""

import json

import gradio as gr
from gradio.components import Component

from modules.webui.form.form import WRITTEN
from modules.webui.form.generation_form import icon_button
from modules.webui.form.script_values import ARGUMENTS_KEY
from modules.webui.inside import inside
from modules.webui.kit import PageKit
from modules.webui.tab import GenerationTab

__all__ = ["add_form_memory", "remembered_fields"]


def remembered_fields(tab: GenerationTab) -> dict[str, Component]:
    """The components of a form that a browser remembers: all but pictures, which are large and private."""
    return {
        key: tab.form[key]
        for key in tab.form.keys
        if key == ARGUMENTS_KEY
        or (key != WRITTEN and not isinstance(tab.form[key], (gr.HTML, gr.File, gr.Image)))
    }


def add_form_memory(kit: PageKit) -> None:
    """Let each form be remembered, and give it its buttons for undo, redo and reset."""
    for tab in kit.generation:
        with inside(kit.page, f"{tab.name}_tools"):
            undo = icon_button("Undo the last change of the settings", "undo", f"{tab.name}_undo")
            redo = icon_button("Redo the change that was undone", "redo", f"{tab.name}_redo")
            reset = gr.Button("Reset the form", visible="hidden", elem_id=f"{tab.name}_reset_form")
        look = gr.Button("Look at the form", visible="hidden", elem_id=f"{tab.name}_look")
        _wire(kit.page, tab, look, {"undo": undo, "redo": redo, "reset": reset})


def _wire(page: gr.Blocks, tab: GenerationTab, look: gr.Button, buttons: dict[str, gr.Button]) -> None:
    fields = remembered_fields(tab)
    components = list(fields.values())
    outputs = [*components, *tab.accordions.values()]
    known = json.dumps([[key, field.label, _choices(field), _value(field)] for key, field in fields.items()])
    accordions = json.dumps(list(tab.accordions))
    page.load(
        None,
        None,
        outputs,
        js=f"() => studio.form.begin('{tab.name}', {known}, {accordions})",
        api_visibility="private",
    )
    look.click(
        None,
        components,
        None,
        js=f"(...values) => studio.form.changed('{tab.name}', values)",
        queue=False,
        api_visibility="private",
    )
    tab.actions.written.change(
        None, None, None, js=f"() => studio.form.written('{tab.name}')", queue=False, api_visibility="private"
    )
    for name, button in buttons.items():
        button.click(
            None, None, outputs, js=f"() => studio.form.{name}('{tab.name}')", api_visibility="private"
        )


def _value(field: Component) -> object:
    """What a field holds when the page is opened."""
    return field.value or "" if isinstance(field, gr.Textbox) else field.value


def _choices(field: Component) -> list[object] | None:
    """Values that a field takes, None where they are open or change while the page is open."""
    if isinstance(field, gr.Radio) or (
        isinstance(field, gr.Dropdown) and not field.allow_custom_value and not field.multiselect
    ):
        return [value for _, value in field.choices]
    return None
