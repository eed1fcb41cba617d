"""The right-hand side: the live picture, and what can be done with the picture that is shown."""

from dataclasses import dataclass

import gradio as gr

from modules.webui.form.generation_form import icon_button
from modules.webui.result.live import live_picture

__all__ = ["ResultPanel", "result_panel"]


@dataclass(frozen=True)
class ResultPanel:
    """Components of the panel.

    Attributes:
        archive: hidden; a zip file that the browser shall fetch.
        reattach: hidden; pressed by the page when the server is back.
        upscale: only where hires fix exists, in txt2img.
    """

    live: gr.HTML
    send_to_img2img: gr.Button
    send_to_inpaint: gr.Button
    send_to_extras: gr.Button
    read_parameters: gr.Button
    open_folder: gr.Button
    save: gr.Button
    save_zip: gr.Button
    archive: gr.File
    reattach: gr.Button
    upscale: gr.Button | None = None


def result_panel(tab: str) -> ResultPanel:
    """Lay the panel out."""
    with gr.Column(elem_id=f"{tab}_results", elem_classes=["result-pane"]):
        live = live_picture(tab)
        with live, gr.Row(elem_id=f"image_buttons_{tab}", elem_classes=["image-buttons"]):
            img2img = gr.Button("Send to img2img", size="sm", elem_id=f"{tab}_send_to_img2img")
            inpaint = gr.Button("Send to inpaint", size="sm", elem_id=f"{tab}_send_to_inpaint")
            extras = gr.Button("Send to Extras", size="sm", elem_id=f"{tab}_send_to_extras")
            parameters = gr.Button("Use parameters", size="sm", elem_id=f"{tab}_use_parameters")
            upscale = None
            if tab == "txt2img":
                upscale = icon_button(
                    "Make this picture again with hires fix and its settings", "upscale", "txt2img_upscale"
                )
            save = icon_button("Save this picture into the folder for chosen ones", "keep", f"save_{tab}")
            save_zip = icon_button("Download all pictures of this job as a zip", "zip", f"save_zip_{tab}")
            download = icon_button("Download this picture", "save", f"download_{tab}")
            folder = icon_button("Open the folder of this picture", "folder", f"{tab}_open_folder")
        archive = gr.File(visible="hidden", label="Archive", elem_id=f"{tab}_archive", interactive=False)
        reattach = gr.Button(
            "Connect again", visible="hidden", elem_id=f"{tab}_reattach", elem_classes=["reattach"]
        )
        download.click(
            None, None, None, js=f"() => studio.download('{tab}')", api_visibility="private", queue=False
        )
    return ResultPanel(
        live, img2img, inpaint, extras, parameters, folder, save, save_zip, archive, reattach, upscale
    )
