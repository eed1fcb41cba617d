"""The controls of the tab Extras: A1111's labels, ranges, defaults and element ids."""

from collections.abc import Container

import gradio as gr

from modules.domain.extras import AutoSizedCrop, ExtrasRequest, FocalCrop, SplitOversized, Upscaling
from modules.generation.extras_operations import OPERATIONS
from modules.webui.form.form import Form
from modules.webui.form.generation_form import accordion_switch, icon_button, slider
from modules.webui.form.mask_canvas import picture_field

__all__ = ["extras_request", "extras_sources", "operation_controls", "upscale_controls"]

_PICTURE_TYPES = [".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff"]

Values = dict[str, object]


def extras_sources(form: Form) -> None:
    """Where the pictures come from: one, several files, or a folder."""
    chosen = form.add(
        "source", gr.Textbox("single", label="Source", visible="hidden", elem_id="extras_source")
    )
    with gr.Tabs(elem_id="mode_extras", elem_classes=["modes"]):
        with gr.Tab("Single Image", id="single", elem_id="extras_single_tab") as single:
            form.add("image", picture_field("extras_image", "Picture to work on", draws="no"))
        with gr.Tab("Batch Process", id="batch", elem_id="extras_batch_process_tab") as batch:
            form.add(
                "batch_files",
                gr.File(
                    file_count="multiple",
                    file_types=_PICTURE_TYPES,
                    label="Pictures to work on",
                    elem_id="extras_image_batch",
                    height=168,
                ),
            )
        with gr.Tab("Batch from Directory", id="directory", elem_id="extras_batch_directory_tab") as folder:
            for key, label, hint in (
                ("batch_input_dir", "Input directory", "inside the outputs folder, with its sub-folders"),
                ("batch_output_dir", "Output directory", "inside the outputs folder; empty saves as usual"),
            ):
                form.add(key, gr.Textbox("", label=label, info=hint, elem_id=f"extras_{key}"))
            form.add(
                "show_results",
                gr.Checkbox(True, label="Show result images", elem_id="extras_show_extras_results"),
            )
    for tab, name in ((single, "single"), (batch, "batch"), (folder, "directory")):
        tab.select(None, None, chosen, js=f"() => '{name}'", api_visibility="private", queue=False)


def upscale_controls(form: Form, upscalers: list[str]) -> None:
    """By how much, or to which size, and by which upscalers."""
    with gr.Row():
        for number in (1, 2):
            form.add(
                f"upscaler_{number}",
                gr.Dropdown(
                    upscalers,
                    value=upscalers[0],
                    label=f"Upscaler {number}",
                    elem_id=f"extras_upscaler_{number}",
                    min_width=140,
                ),
            )
    slider(form, "upscaler_2_visibility", "Upscaler 2 visibility", (0, 1, 0.001), 0)
    chosen = form.add(
        "resize_mode", gr.Textbox("by", label="Mode", visible="hidden", elem_id="extras_resize_chosen")
    )
    with gr.Tabs(elem_id="extras_resize_mode", elem_classes=["modes"]):
        with gr.Tab("Scale by", elem_id="extras_scale_by_tab") as by:
            slider(form, "upscaling_resize", "Resize", (1, 8, 0.05), 4)
            form.add(
                "max_side_length",
                gr.Number(
                    0,
                    label="Max side length",
                    info="The longer side becomes no longer than this; 0 is no limit.",
                    precision=0,
                    minimum=0,
                    elem_id="extras_max_side_length",
                ),
            )
        with gr.Tab("Scale to", elem_id="extras_scale_to_tab") as to:
            with gr.Row(elem_classes=["with-tool"]):
                with gr.Column(min_width=120, elem_classes=["tight"]):
                    width = slider(form, "upscaling_resize_w", "Width", (64, 8192, 8), 512)
                    height = slider(form, "upscaling_resize_h", "Height", (64, 8192, 8), 512)
                swap = icon_button("Switch width and height", "swap", "extras_res_switch_btn")
            form.add(
                "upscaling_crop", gr.Checkbox(True, label="Crop to fit", elem_id="extras_upscaling_crop")
            )
    for tab, name in ((by, "by"), (to, "to")):
        tab.select(None, None, chosen, js=f"() => '{name}'", api_visibility="private", queue=False)
    swap.click(
        None,
        [width, height],
        [width, height],
        js="(width, height) => [height, width]",
        api_visibility="private",
        queue=False,
    )


def operation_controls(form: Form, shown: Container[str] = OPERATIONS) -> None:
    """Face restorers, and what makes pictures ready for training; each works while its part is open.

    Args:
        form: of the tab.
        shown: names of the operations that the settings leave on.
    """

    def part(key: str, name: str) -> gr.Accordion:
        accordion = accordion_switch(form, key, name)
        accordion.visible = name in shown
        return accordion

    with part("gfpgan", "GFPGAN"):
        slider(form, "gfpgan_visibility", "Visibility", (0, 1, 0.001), 1)
    with part("codeformer", "CodeFormer"):
        slider(form, "codeformer_visibility", "Visibility", (0, 1, 0.001), 1)
        slider(form, "codeformer_weight", "Weight (0 = maximum effect, 1 = minimum effect)", (0, 1, 0.001), 0)
    with part("split", "Split oversized images"), gr.Row():
        slider(form, "split_threshold", "Threshold", (0, 1, 0.05), 0.5)
        slider(form, "split_overlap", "Overlap ratio", (0, 0.9, 0.05), 0.2)
    with part("focal_crop", "Auto focal point crop"):
        slider(form, "focal_face_weight", "Focal point face weight", (0, 1, 0.05), 0.9)
        slider(form, "focal_entropy_weight", "Focal point entropy weight", (0, 1, 0.05), 0.15)
        slider(form, "focal_edges_weight", "Focal point edges weight", (0, 1, 0.05), 0.5)
    with part("auto_crop", "Auto-sized crop"):
        _auto_crop_controls(form)
    with part("flips", "Create flipped copies"):
        form.add(
            "flip_kinds",
            gr.CheckboxGroup(
                ["Horizontal", "Vertical", "Both"],
                value=["Horizontal"],
                label="Flipped copies",
                elem_id="extras_flip_kinds",
            ),
        )


def _auto_crop_controls(form: Form) -> None:
    with gr.Row():
        slider(form, "crop_min_side", "Dimension lower bound", (64, 2048, 8), 384)
        slider(form, "crop_max_side", "Dimension upper bound", (64, 2048, 8), 768)
    with gr.Row():
        slider(form, "crop_min_area", "Area lower bound", (4096, 4_194_304, 1), 4096)
        slider(form, "crop_max_area", "Area upper bound", (4096, 4_194_304, 1), 409_600)
    with gr.Row():
        form.add(
            "crop_objective",
            gr.Radio(
                ["Maximize area", "Minimize error"],
                value="Maximize area",
                label="Resizing objective",
                elem_id="extras_crop_objective",
            ),
        )
        slider(form, "crop_threshold", "Error threshold", (0, 1, 0.01), 0.1)


def extras_request(values: Values) -> ExtrasRequest:
    """What the form asks for.

    Raises:
        ValidationError: a value lies outside its limits.
    """

    def part(switch: str, fields: dict[str, str]) -> Values | None:
        return {name: values[key] for name, key in fields.items()} if values[switch] else None

    split = part("split", {"threshold": "split_threshold", "overlap": "split_overlap"})
    focal = part(
        "focal_crop", {f"{kind}_weight": f"focal_{kind}_weight" for kind in ("face", "entropy", "edges")}
    )
    crop_fields = ("min_side", "max_side", "min_area", "max_area", "objective", "threshold")
    crop = part("auto_crop", {name: f"crop_{name}" for name in crop_fields})
    return ExtrasRequest.model_validate({
        "upscaling": Upscaling.model_validate({
            "by": values["upscaling_resize"],
            "max_side": values["max_side_length"] or 0,
            "to_size": values["resize_mode"] == "to",
            "width": values["upscaling_resize_w"],
            "height": values["upscaling_resize_h"],
            "crop": values["upscaling_crop"],
            "upscaler_1": values["upscaler_1"] or "None",
            "upscaler_2": values["upscaler_2"] or "None",
            "upscaler_2_visibility": values["upscaler_2_visibility"],
        }),
        "gfpgan_visibility": values["gfpgan_visibility"] if values["gfpgan"] else 0,
        "codeformer_visibility": values["codeformer_visibility"] if values["codeformer"] else 0,
        "codeformer_weight": values["codeformer_weight"],
        "split": None if split is None else SplitOversized.model_validate(split),
        "focal_crop": None if focal is None else FocalCrop.model_validate(focal),
        "auto_crop": None if crop is None else AutoSizedCrop.model_validate(crop),
        "flips": values["flip_kinds"] if values["flips"] else (),
    })  # fmt: skip
