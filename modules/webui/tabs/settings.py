"""The tab Settings: every setting that has an effect, searchable, applied at once."""

import gradio as gr

from modules.webui.assets import asset_text, component_script
from modules.webui.kit import PageKit

__all__ = ["settings_tab"]


def settings_tab(kit: PageKit) -> None:  # noqa: ARG001 - all tabs are laid out by the same call
    """Lay the tab out; its own script asks the API for everything."""
    with gr.Tab("Settings", id="settings", elem_id="tab_settings"):
        gr.HTML(
            html_template=asset_text("settings.html"),
            js_on_load=component_script("settings.js"),
            elem_id="settings_form",
            apply_default_css=False,
        )
