"""The right-hand side: the live picture, and what can be done with the picture that is shown."""

from dataclasses import dataclass

import gradio as gr

from modules.webui.generation_form import icon_button
from modules.webui.live import live_picture

__all__ = ["ResultPanel", "result_panel"]


@dataclass(frozen=True)
class ResultPanel:
    """Components of the panel."""

    live: gr.HTML
    send_to_img2img: gr.Button
    send_to_inpaint: gr.Button
    read_parameters: gr.Button


def result_panel(tab: str) -> ResultPanel:
    """Lay the panel out."""
    with gr.Column(elem_id=f"{tab}_results", elem_classes=["result-pane"]):
        live = live_picture(tab)
        with live, gr.Row(elem_id=f"image_buttons_{tab}", elem_classes=["image-buttons"]):
            img2img = gr.Button("Send to img2img", size="sm", elem_id=f"{tab}_send_to_img2img")
            inpaint = gr.Button("Send to inpaint", size="sm", elem_id=f"{tab}_send_to_inpaint")
            parameters = gr.Button("Use parameters", size="sm", elem_id=f"{tab}_use_parameters")
            save = icon_button("Download this picture", "save", f"save_{tab}")
        save.click(
            None, None, None, js=f"() => studio.download('{tab}')", api_visibility="private", queue=False
        )
    return ResultPanel(live, img2img, inpaint, parameters)
