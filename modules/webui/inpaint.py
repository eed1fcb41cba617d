"""The tab inpaint: another picture below a mask that the user draws or hands in."""

import gradio as gr

from modules.webui.choices import FormChoices
from modules.webui.generation_form import (
    batch_controls,
    guidance_controls,
    inpaint_controls,
    override_controls,
    refiner_controls,
    resize_mode_control,
    sampler_controls,
    seed_controls,
    size_controls,
)
from modules.webui.mask_canvas import picture_field
from modules.webui.quick_settings import QuickSettings
from modules.webui.result_panel import result_panel
from modules.webui.tab import GenerationTab, new_form, prompt_area

__all__ = ["inpaint_tab"]


def inpaint_tab(choices: FormChoices, quick: QuickSettings) -> GenerationTab:
    """Lay the tab out."""
    form = new_form("inpaint", quick)
    with (
        gr.Tab("inpaint", id="inpaint", elem_id="tab_inpaint"),
        gr.Column(elem_id="inpaint_page", elem_classes=["studio-tab"]),
    ):
        actions = prompt_area(form, choices)
        result = result_panel("inpaint")
        with gr.Column(elem_id="inpaint_settings", elem_classes=["settings-pane"]):
            picture = form.add(
                "image", picture_field("inpaint_image", "Picture; paint over what shall change", paint=True)
            )
            with gr.Accordion("Inpaint upload: mask from a file", open=False, elem_id="inpaint_mask_upload"):
                form.add("mask_file", picture_field("inpaint_mask_file", "White is what shall change"))
            inpaint_controls(form)
            guidance_controls(form, choices, denoising=0.75)
            sampler_controls(form, choices)
            size_controls(form, choices, picture)
            resize_mode_control(form)
            batch_controls(form)
            seed_controls(form, result.live)
            accordions = {"enable": refiner_controls(form, choices)}
            override_controls(form)
    return GenerationTab("inpaint", form, actions, result, accordions, picture="image", mask="mask_file")
