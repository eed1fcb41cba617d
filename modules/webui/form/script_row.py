"""The script row of a generation tab: a list of scripts, and the arguments of the one that is chosen.

The controls of the arguments are native fields that ``page/script_form.js`` builds when a script is chosen,
from what ``/api/v1/scripts`` says: a page with a component for each argument of each script is slow to open.
"""

import gradio as gr

from modules.webui.assets import component_script
from modules.webui.form.choices import FormChoices
from modules.webui.form.form import Form
from modules.webui.form.script_values import ARGUMENTS_KEY, NO_SCRIPT, SCRIPT_KEY

__all__ = ["script_row"]


def script_row(form: Form, choices: FormChoices) -> None:
    """Add the list of scripts and their arguments to a form."""
    tab, kind = form.tab, "txt2img" if form.tab == "txt2img" else "img2img"
    with gr.Column(elem_id=f"{tab}_script_container", elem_classes=["tight"]):
        chosen = form.add(
            SCRIPT_KEY,
            gr.Dropdown(
                [NO_SCRIPT, *choices.scripts[kind]],
                value=NO_SCRIPT,
                label="Script",
                elem_id="script_list" if tab == "txt2img" else f"{tab}_script_list",
            ),
        )
        form.add(
            ARGUMENTS_KEY,
            gr.HTML(
                {},
                label="Script arguments",
                show_label=False,
                html_template=f'<div class="script-form" data-tab="{tab}"></div>',
                js_on_load=component_script("script_form.js"),
                elem_id=f"{tab}_script_arguments",
                apply_default_css=False,
            ),
        )
    chosen.change(
        None, chosen, None, js=f"(title) => studio.scripts.choose('{tab}', title)", api_visibility="private"
    )
