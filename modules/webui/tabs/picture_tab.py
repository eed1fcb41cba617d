"""The frame of the tabs img2img and inpaint: pictures and settings, with prompts and result around them."""

from collections.abc import Callable

import gradio as gr

from modules.webui.form.choices import FormChoices
from modules.webui.form.form import Form
from modules.webui.form.generation_form import (
    batch_controls,
    guidance_controls,
    override_controls,
    refiner_controls,
    sampler_controls,
    seed_controls,
)
from modules.webui.form.image_form import inpaint_controls, resize_controls, resize_mode_control
from modules.webui.form.quick_settings import QuickSettings
from modules.webui.form.script_row import script_row
from modules.webui.form.start_form import StartForm
from modules.webui.form.start_pictures import StartMode
from modules.webui.result.result_panel import result_panel
from modules.webui.tab import GenerationTab, new_form, prompt_area

__all__ = ["picture_tab"]

LayOutStart = Callable[[Form], StartForm | None]


def picture_tab(
    name: str,
    modes: tuple[StartMode, ...],
    lay_out_start: LayOutStart,
    choices: FormChoices,
    quick: QuickSettings,
) -> GenerationTab:
    """Lay a tab out that starts from pictures.

    Args:
        name: of the tab.
        modes: ways to hand pictures in; the first takes what other tabs send.
        lay_out_start: adds the fields of all modes to the form.
        choices: what the lists offer.
        quick: the row above the tabs.
    """
    form = new_form(name, quick)
    with (
        gr.Tab(name, id=name, elem_id=f"tab_{name}"),
        gr.Column(elem_id=f"{name}_page", elem_classes=["studio-tab"]),
    ):
        actions = prompt_area(form, choices)
        result = result_panel(name)
        with gr.Column(elem_id=f"{name}_settings", elem_classes=["settings-pane"]):
            start = lay_out_start(form)
            accordions = inpaint_controls(form)
            guidance_controls(form, choices, denoising=0.75)
            sampler_controls(form, choices)
            resize_controls(form, choices)
            resize_mode_control(form)
            batch_controls(form)
            seed_controls(form, result.live)
            accordions |= {"enable": refiner_controls(form, choices)}
            script_row(form, choices)
            override_controls(form)
    return GenerationTab(
        name, form, actions, result, accordions, picture=modes[0].field, modes=modes, start=start
    )
