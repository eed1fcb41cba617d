"""The controls of image-to-image: what a mask means, how large the result is."""

import gradio as gr

from modules.webui.form.choices import FormChoices
from modules.webui.form.form import Form
from modules.webui.form.generation_form import accordion_switch, size_controls, slider
from modules.webui.form.request_builder import MASKED_CONTENT, RESIZE_MODES, SOFT_INPAINTING

__all__ = ["inpaint_controls", "resize_controls", "resize_mode_control"]


def resize_mode_control(form: Form) -> None:
    """What happens to a picture whose shape is not the wanted one."""
    _radio(form, "resize_mode", "Resize mode", RESIZE_MODES, RESIZE_MODES[0])


def inpaint_controls(form: Form) -> dict[str, gr.Accordion]:
    """How the mask is understood and what is put below it; returns the accordions by their key."""
    with gr.Column(elem_id=form.element_id("inpaint_controls"), elem_classes=["inpaint-controls", "tight"]):
        with gr.Row():
            slider(form, "mask_blur", "Mask blur", (0, 64, 1), 4)
            slider(form, "inpaint_full_res_padding", "Only masked padding, pixels", (0, 256, 4), 32)
        with gr.Column(elem_classes=["only-sketch", "tight"]):
            slider(form, "mask_alpha", "Mask transparency", (0, 100, 1), 0)
        _radio(form, "mask_mode", "Mask mode", ("Inpaint masked", "Inpaint not masked"), "Inpaint masked")
        _radio(form, "inpainting_fill", "Masked content", MASKED_CONTENT, "original")
        _radio(form, "inpaint_full_res", "Inpaint area", ("Whole picture", "Only masked"), "Whole picture")
        with accordion_switch(form, "soft_inpainting", "Soft inpainting") as soft:
            for pair in range(0, len(SOFT_INPAINTING), 2):
                with gr.Row():
                    for key, label, limits, value in SOFT_INPAINTING[pair : pair + 2]:
                        slider(form, key, label, limits, value)
    return {"soft_inpainting": soft}


def resize_controls(form: Form, choices: FormChoices) -> None:
    """The size of the result: in pixels, or as a multiple of the picture's."""
    tab = form.tab
    chosen = form.add(
        "resize_tab", gr.Textbox("to", label="Size", visible="hidden", elem_id=f"{tab}_resize_chosen")
    )
    with gr.Tabs(elem_id=f"{tab}_tabs_resize", elem_classes=["modes"]):
        with gr.Tab("Resize to", elem_id=f"{tab}_tab_resize_to") as to:
            size_controls(form, choices, takes_from_picture=True)
        with gr.Tab("Resize by", elem_id=f"{tab}_tab_resize_by", render_children=True) as by:
            slider(form, "scale", "Scale", (0.05, 4, 0.05), 1)
            gr.HTML(
                f'<span class="scale-preview" data-tab="{tab}"></span>',
                padding=False,
                elem_id=f"{tab}_scale_resolution_preview",
            )
    for shown, name in ((to, "to"), (by, "by")):
        shown.select(None, None, chosen, js=f"() => '{name}'", api_visibility="private", queue=False)


def _radio(form: Form, key: str, label: str, options: tuple[str, ...], value: str) -> None:
    form.add(key, gr.Radio(list(options), value=value, label=label, elem_id=form.element_id(key)))
