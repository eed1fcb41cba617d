"""The tab txt2img: a picture from words."""

import gradio as gr

from modules.webui.form.choices import FormChoices
from modules.webui.form.generation_form import (
    batch_controls,
    guidance_controls,
    hires_controls,
    override_controls,
    refiner_controls,
    sampler_controls,
    seed_controls,
    size_controls,
)
from modules.webui.form.quick_settings import QuickSettings
from modules.webui.form.script_row import script_row
from modules.webui.result.result_panel import result_panel
from modules.webui.tab import GenerationTab, new_form, prompt_area

__all__ = ["txt2img_tab"]


def txt2img_tab(choices: FormChoices, quick: QuickSettings) -> GenerationTab:
    """Lay the tab out."""
    form = new_form("txt2img", quick)
    with (
        gr.Tab("txt2img", id="txt2img", elem_id="tab_txt2img"),
        gr.Column(elem_id="txt2img_page", elem_classes=["studio-tab"]),
    ):
        actions = prompt_area(form, choices)
        result = result_panel("txt2img")
        with gr.Column(elem_id="txt2img_settings", elem_classes=["settings-pane"]):
            sampler_controls(form, choices)
            size_controls(form, choices)
            batch_controls(form)
            guidance_controls(form, choices)
            seed_controls(form, result.live)
            accordions = {"hr": hires_controls(form, choices), "enable": refiner_controls(form, choices)}
            script_row(form, choices)
            override_controls(form)
    return GenerationTab("txt2img", form, actions, result, accordions)
