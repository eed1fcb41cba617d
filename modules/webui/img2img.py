"""The tab img2img: a picture from words and another picture."""

import gradio as gr

from modules.webui.choices import FormChoices
from modules.webui.generation_form import (
    batch_controls,
    guidance_controls,
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

__all__ = ["img2img_tab"]


def img2img_tab(choices: FormChoices, quick: QuickSettings) -> GenerationTab:
    """Lay the tab out."""
    form = new_form("img2img", quick)
    with (
        gr.Tab("img2img", id="img2img", elem_id="tab_img2img"),
        gr.Column(elem_id="img2img_page", elem_classes=["studio-tab"]),
    ):
        actions = prompt_area(form, choices)
        result = result_panel("img2img")
        with gr.Column(elem_id="img2img_settings", elem_classes=["settings-pane"]):
            picture = form.add("image", picture_field("img2img_image", "Picture to start from"))
            resize_mode_control(form)
            guidance_controls(form, choices, denoising=0.75)
            sampler_controls(form, choices)
            size_controls(form, choices, picture)
            batch_controls(form)
            seed_controls(form, result.live)
            accordions = {"enable": refiner_controls(form, choices)}
            override_controls(form)
    return GenerationTab("img2img", form, actions, result, accordions, picture="image")
