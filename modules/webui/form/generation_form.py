"""The controls that the generation tabs share: A1111's labels, ranges, defaults and element ids."""

import gradio as gr

from modules.webui.form.choices import FormChoices
from modules.webui.form.form import Form
from modules.webui.form.request_builder import SAME_CHECKPOINT, SAME_SAMPLER, SAME_SCHEDULER

__all__ = [
    "accordion_switch",
    "batch_controls",
    "guidance_controls",
    "hires_controls",
    "icon_button",
    "override_controls",
    "refiner_controls",
    "sampler_controls",
    "seed_controls",
    "size_controls",
    "slider",
]

MAX_SIDE = 2048  # A1111's; what is pasted may raise it


def slider(form: Form, key: str, label: str, limits: tuple[float, float, float], value: float) -> gr.Slider:
    """A slider of the form; ``limits`` are minimum, maximum and step."""
    minimum, maximum, step = limits
    return form.add(
        key,
        gr.Slider(
            minimum,
            maximum,
            value,
            step=step,
            label=label,
            elem_id=form.element_id(key),
            buttons=[],
        ),
    )


def icon_button(label: str, icon: str, elem_id: str) -> gr.Button:
    """A small square button; the label is its accessible name and tooltip."""
    return gr.Button(
        label, elem_id=elem_id, elem_classes=["icon", f"icon-{icon}"], size="sm", scale=0, min_width=40
    )


def accordion_switch(form: Form, key: str, label: str) -> gr.Accordion:
    """An accordion that is on while it is open; the form's value is whether it is on."""
    elem_id = form.element_id(key)
    accordion = gr.Accordion(label, open=False, elem_id=elem_id, elem_classes=["switch"])
    with accordion:
        enabled = form.add(
            key, gr.Checkbox(False, label=label, elem_id=f"{elem_id}-checkbox", visible="hidden")
        )
    accordion.expand(None, None, enabled, js="() => true", api_visibility="private", queue=False)
    accordion.collapse(None, None, enabled, js="() => false", api_visibility="private", queue=False)
    return accordion


def sampler_controls(form: Form, choices: FormChoices) -> None:
    """Sampling method, schedule type and steps."""
    with gr.Row():
        form.add(
            "sampling",
            gr.Dropdown(
                list(choices.samplers),
                value=choices.samplers[0],
                label="Sampling method",
                elem_id=form.element_id("sampling"),
                min_width=140,
            ),
        )
        form.add(
            "scheduler",
            gr.Dropdown(
                list(choices.schedulers),
                value=choices.schedulers[0],
                label="Schedule type",
                elem_id=form.element_id("scheduler"),
                min_width=140,
            ),
        )
    slider(form, "steps", "Sampling steps", (1, 150, 1), 20)


def hires_controls(form: Form, choices: FormChoices) -> gr.Accordion:
    """The second pass at a larger size."""
    strength = choices.suggested.hires_strength
    with accordion_switch(form, "hr", "Hires. fix") as accordion:
        with gr.Row():
            form.add(
                "hr_upscaler",
                gr.Dropdown(
                    list(choices.upscalers),
                    value=choices.suggested.hires_upscaler,
                    label="Upscaler",
                    elem_id=form.element_id("hr_upscaler"),
                    min_width=140,
                ),
            )
            slider(form, "hires_steps", "Hires steps", (0, 150, 1), 0)
        with gr.Row():
            slider(form, "denoising_strength", "Denoising strength", (0, 1, 0.01), strength)
            slider(form, "hr_scale", "Upscale by", (1, 4, 0.05), 2)
        with gr.Row():
            slider(form, "hr_resize_x", "Resize width to", (0, MAX_SIDE, 8), 0)
            slider(form, "hr_resize_y", "Resize height to", (0, MAX_SIDE, 8), 0)
        with gr.Accordion(
            "Checkpoint, sampler and prompt of the second pass", open=False, elem_id=form.element_id("hr_own")
        ):
            _hires_own(form, choices)
    return accordion


def _hires_own(form: Form, choices: FormChoices) -> None:
    """What the second pass may have of its own; as it stands it has nothing."""
    lists = (
        ("hr_checkpoint", "Checkpoint", SAME_CHECKPOINT, choices.checkpoints),
        ("hr_sampler", "Hires sampling method", SAME_SAMPLER, choices.samplers),
        ("hr_scheduler", "Hires schedule type", SAME_SCHEDULER, choices.schedulers),
    )
    with gr.Row():
        for key, label, same, names in lists:
            form.add(
                key,
                gr.Dropdown(
                    [same, *names],
                    value=same,
                    label=label,
                    allow_custom_value=True,
                    elem_id=form.element_id(key),
                    min_width=140,
                ),
            )
    for key, elem_id, label, hint in (
        ("hr_prompt", "hires_prompt", "Hires prompt", "Prompt for the second pass; empty is the first one's"),
        (
            "hr_negative_prompt",
            "hires_neg_prompt",
            "Hires negative prompt",
            "Negative prompt for the second pass; empty is the first one's",
        ),
    ):
        form.add(
            key, gr.Textbox(label=label, placeholder=hint, lines=2, elem_id=elem_id, elem_classes=["prompt"])
        )


def refiner_controls(form: Form, choices: FormChoices) -> gr.Accordion:
    """Another checkpoint for the last steps."""
    with accordion_switch(form, "enable", "Refiner") as accordion, gr.Row():
        form.add(
            "checkpoint",
            gr.Dropdown(
                ["", *choices.checkpoints],
                value="",
                label="Checkpoint",
                allow_custom_value=True,
                elem_id=form.element_id("checkpoint"),
                min_width=140,
            ),
        )
        slider(form, "switch_at", "Switch at", (0.01, 1, 0.01), 0.8)
    return accordion


RATIOS = ("1:1", "5:4", "4:3", "3:2", "16:9")


def size_controls(form: Form, choices: FormChoices, *, takes_from_picture: bool = False) -> None:
    """Width and height, buttons that swap them or take them from the tab's picture, and common shapes."""
    side = choices.suggested.side
    with gr.Row(elem_classes=["with-tool"]):
        with gr.Column(min_width=120, elem_classes=["tight"]):
            width = slider(form, "width", "Width", (64, MAX_SIDE, 8), side)
            height = slider(form, "height", "Height", (64, MAX_SIDE, 8), side)
        with gr.Column(min_width=40, scale=0, elem_classes=["tight"]):
            swap = icon_button("Switch width and height", "swap", form.element_id("res_switch_btn"))
            if takes_from_picture:
                detect = icon_button(
                    "Take the size of the picture", "measure", form.element_id("detect_image_size_btn")
                )
    chips = "".join(f'<button type="button" data-ratio="{ratio}">{ratio}</button>' for ratio in RATIOS)
    gr.HTML(
        f'<div class="ratios" role="group" aria-label="Shape">{chips}</div>',
        padding=False,
        elem_id=form.element_id("ratios"),
    )
    sides = [width, height]
    swap.click(None, sides, sides, js="(w, h) => [h, w]", api_visibility="private", queue=False)
    if takes_from_picture:
        script = f"(w, h) => studio.sizeOfPicture('{form.tab}', w, h)"
        detect.click(None, sides, sides, js=script, api_visibility="private", queue=False)


def batch_controls(form: Form) -> None:
    """How many pictures: one after another, and side by side."""
    with gr.Row():
        slider(form, "batch_count", "Batch count", (1, 100, 1), 1)
        slider(form, "batch_size", "Batch size", (1, 8, 1), 1)


def guidance_controls(form: Form, choices: FormChoices, *, denoising: float | None = None) -> None:
    """CFG scale, and for image-to-image the denoising strength."""
    with gr.Row():
        slider(form, "cfg_scale", "CFG Scale", (1, 30, 0.5), choices.suggested.cfg_scale)
        if denoising is not None:
            slider(form, "denoising_strength", "Denoising strength", (0, 1, 0.01), denoising)
    if denoising is not None:
        image_scale = slider(form, "image_cfg_scale", "Image CFG Scale", (0, 3, 0.05), 1.5)
        image_scale.info = "How close an editing checkpoint (instruct-pix2pix) keeps to the picture"


def seed_controls(form: Form, live: gr.HTML) -> None:
    """Seed with its buttons, and the variation seed behind Extra."""
    with gr.Row(elem_classes=["with-tool", "seed-row"]):
        seed = _number(form, "seed", "Seed")
        random = icon_button("Random seed", "dice", form.element_id("random_seed"))
        reuse = icon_button("Reuse the seed of the picture shown", "reuse", form.element_id("reuse_seed"))
        extra = form.add(
            "subseed_show",
            gr.Checkbox(False, label="Extra", elem_id=form.element_id("subseed_show"), scale=0, min_width=80),
        )
    with gr.Column(visible=False, elem_classes=["tight"]) as variation:
        with gr.Row(elem_classes=["with-tool", "seed-row"]):
            subseed = _number(form, "subseed", "Variation seed")
            random_sub = icon_button("Random variation seed", "dice", form.element_id("random_subseed"))
            reuse_sub = icon_button("Reuse the variation seed", "reuse", form.element_id("reuse_subseed"))
        slider(form, "subseed_strength", "Variation strength", (0, 1, 0.01), 0)
        with gr.Row():
            slider(form, "seed_resize_from_w", "Resize seed from width", (0, MAX_SIDE, 8), 0)
            slider(form, "seed_resize_from_h", "Resize seed from height", (0, MAX_SIDE, 8), 0)
    extra.change(
        lambda shown: gr.Column(visible=shown), extra, variation, api_visibility="private", queue=False
    )
    for button, target, script in (
        (random, seed, "() => -1"),
        (random_sub, subseed, "() => -1"),
        (reuse, seed, "(live) => studio.seedOf(live, 'Seed')"),
        (reuse_sub, subseed, "(live) => studio.seedOf(live, 'Variation seed')"),
    ):
        sources = live if "live" in script else None
        button.click(None, sources, target, js=script, api_visibility="private", queue=False)


def override_controls(form: Form) -> None:
    """Settings that pasted parameters want for this form alone; hidden while there are none."""
    form.add(
        "override_settings",
        gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            allow_custom_value=True,
            label="Override settings",
            visible=False,
            elem_id=form.element_id("override_settings"),
        ),
    )


def _number(form: Form, key: str, label: str) -> gr.Number:
    return form.add(
        key,
        gr.Number(-1, precision=0, label=label, elem_id=form.element_id(key), min_width=100),
    )
