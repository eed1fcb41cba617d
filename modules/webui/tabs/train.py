"""The tab Train: pictures and captions, a few values, and the training as it goes on."""

import gradio as gr

from modules.webui.assets import asset_text, component_script
from modules.webui.kit import PageKit

__all__ = ["train_tab"]


def train_tab(kit: PageKit) -> None:  # noqa: ARG001 - all tabs are laid out by the same call
    """Lay the tab out; its own script asks the API for everything."""
    with gr.Tab("Train", id="train", elem_id="tab_train"):
        gr.HTML(
            html_template=asset_text("train.html"),
            js_on_load=component_script("train.js"),
            elem_id="train",
            apply_default_css=False,
        )
