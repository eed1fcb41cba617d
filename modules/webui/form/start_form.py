"""Where the pictures of an image-to-image tab are handed in: one field for each mode, and a batch."""

from dataclasses import dataclass

import gradio as gr

from modules.webui.form.form import Form
from modules.webui.form.mask_canvas import Draws, picture_field
from modules.webui.form.start_pictures import START_MODES, StartMode

__all__ = ["PNG_INFO_PARTS", "CopyButton", "StartForm", "start_form"]

PNG_INFO_PARTS = ("Prompt", "Negative prompt", "Seed", "CFG scale", "Sampler", "Steps", "Model hash")
_PICTURE_TYPES = [".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff"]

# mode -> A1111's id of its tab
_TAB_IDS = {
    "img2img": "img2img_img2img_tab",
    "Sketch": "img2img_img2img_sketch_tab",
    "Inpaint": "img2img_inpaint_tab",
    "Inpaint sketch": "img2img_inpaint_sketch_tab",
    "Inpaint upload": "img2img_inpaint_upload_tab",
    "Batch": "img2img_batch_tab",
}
# key of a picture field -> A1111's id, label, what is drawn on it
_FIELDS: dict[str, tuple[str, str, Draws]] = {
    "image": ("img2img_image", "Picture to start from", "no"),
    "sketch": ("img2img_sketch", "Picture; paint on it what you want to see", "colour"),
    "masked": ("img2maskimg", "Picture; paint over what shall change", "mask"),
    "masked_sketch": ("inpaint_sketch", "Picture; what you paint will change", "colour"),
    "base": ("img_inpaint_base", "Picture", "no"),
    "base_mask": ("img_inpaint_mask", "Mask; white is what shall change", "no"),
}
_COPIES = ("img2img", "Sketch", "Inpaint", "Inpaint sketch")


@dataclass(frozen=True)
class CopyButton:
    """Copies the picture that is shown to another mode."""

    mode: StartMode
    button: gr.Button


@dataclass(frozen=True)
class StartForm:
    """The modes of a tab.

    Attributes:
        modes: in the order of their tabs.
        chosen: hidden field with the name of the open mode; also in the form, as ``mode``.
        tabs: the row of modes; ``gr.Tabs(selected=name)`` as its output opens another.
        copies: "Copy image to" buttons.
    """

    modes: tuple[StartMode, ...]
    chosen: gr.Textbox
    tabs: gr.Tabs
    copies: tuple[CopyButton, ...]


def start_form(form: Form) -> StartForm:
    """Lay all modes of the tab img2img out."""
    chosen = form.add(
        "mode",
        gr.Textbox(
            START_MODES[0].name, label="Mode", visible="hidden", elem_id=form.element_id("mode_chosen")
        ),
    )
    with gr.Tabs(elem_id=f"mode_{form.tab}", selected=START_MODES[0].name, elem_classes=["modes"]) as tabs:
        for mode in START_MODES:
            with gr.Tab(mode.name, id=mode.name, elem_id=_TAB_IDS[mode.name]) as tab:
                if mode.kind == "batch":
                    _batch_fields(form)
                for key in filter(None, (mode.field, mode.mask_field)):
                    elem_id, label, draws = _FIELDS[key]
                    form.add(key, picture_field(elem_id, label, draws=draws))
            tab.select(None, None, chosen, js=f"() => '{mode.name}'", api_visibility="private", queue=False)
    chosen.change(
        None,
        chosen,
        None,
        js=f"(mode) => studio.showMode('{form.tab}', mode)",
        api_visibility="private",
        queue=False,
    )
    with gr.Row(elem_classes=["copy-row"], elem_id=form.element_id("copy_row")):
        gr.HTML('<span class="copy-label">Copy image to</span>', padding=False, elem_classes=["copy-text"])
        copies = tuple(_copy_button(form, mode) for mode in START_MODES if mode.name in _COPIES)
    return StartForm(START_MODES, chosen, tabs, copies)


def _copy_button(form: Form, mode: StartMode) -> CopyButton:
    name = mode.name.lower().replace(" ", "_")
    button = gr.Button(
        mode.name, size="sm", elem_id=form.element_id(f"copy_to_{name}"), min_width=40, scale=0
    )
    return CopyButton(mode, button)


def _batch_fields(form: Form) -> None:
    source = form.add(
        "batch_source", gr.Textbox("upload", label="Source", visible="hidden", elem_id="img2img_batch_chosen")
    )
    with gr.Tabs(elem_id="img2img_batch_source", elem_classes=["modes"]):
        with gr.Tab("Upload files", elem_id="img2img_batch_upload_tab") as upload:
            form.add(
                "batch_files",
                gr.File(
                    file_count="multiple",
                    file_types=_PICTURE_TYPES,
                    label="Pictures; each becomes a job of its own",
                    elem_id="img2img_batch_upload",
                    height=168,
                ),
            )
        with gr.Tab("From directory", elem_id="img2img_batch_from_dir_tab") as directory:
            for key, label, hint in (
                ("batch_input_dir", "Input directory", "inside the outputs folder, with its sub-folders"),
                ("batch_output_dir", "Output directory", "inside the outputs folder; empty saves as usual"),
                (
                    "batch_inpaint_mask_dir",
                    "Inpaint batch mask directory",
                    "masks with the names of the pictures, or one mask for all; empty for none",
                ),
            ):
                _folder(form, key, label, hint)
    for tab, name in ((upload, "upload"), (directory, "directory")):
        tab.select(None, None, source, js=f"() => '{name}'", api_visibility="private", queue=False)
    with gr.Accordion("PNG info", open=False, elem_id="img2img_batch_png_info"):
        form.add(
            "batch_use_png_info",
            gr.Checkbox(
                False,
                label="Append png info to prompts",
                info="The prompts of each picture are added to yours; what is chosen below is taken from it.",
                elem_id="img2img_batch_use_png_info",
            ),
        )
        _folder(
            form,
            "batch_png_info_dir",
            "PNG info directory",
            "inside the outputs folder; empty reads the pictures themselves",
        )
        form.add(
            "batch_png_info_props",
            gr.CheckboxGroup(
                list(PNG_INFO_PARTS),
                value=[],
                label="Parameters to take from png info",
                elem_id="img2img_batch_png_info_props",
            ),
        )


def _folder(form: Form, key: str, label: str, hint: str) -> None:
    form.add(key, gr.Textbox(label=label, placeholder=hint, max_lines=1, elem_id=form.element_id(key)))
