"""What every generation tab has: prompts above, settings on the left, the live picture on the right."""

from dataclasses import dataclass

import gradio as gr

from modules.webui.form.choices import FormChoices
from modules.webui.form.form import WRITTEN, Form
from modules.webui.form.generation_form import icon_button
from modules.webui.form.quick_settings import QuickSettings
from modules.webui.form.start_form import StartForm
from modules.webui.form.start_pictures import StartMode
from modules.webui.form.token_counter import counter
from modules.webui.result.result_panel import ResultPanel

__all__ = ["Actions", "GenerationTab", "new_form", "prompt_area"]

PLACEHOLDER = "Ctrl+Enter generates, Esc stops"


@dataclass(frozen=True)
class Actions:
    """Buttons and small fields beside the prompts."""

    generate: gr.Button
    interrupt: gr.Button
    skip: gr.Button
    pause: gr.Button
    resume: gr.Button
    paste: gr.Button
    clear: gr.Button
    apply_styles: gr.Button
    dropped: gr.File
    written: gr.Textbox
    prompts: tuple[gr.Textbox, gr.Textbox]
    styles: gr.Dropdown
    counters: tuple[gr.HTML, gr.HTML]


@dataclass(frozen=True)
class GenerationTab:
    """A finished tab, ready to be wired.

    Attributes:
        accordions: accordions that pasted parameters open and close, by the key that they switch.
        picture: key of the field that takes pictures from other tabs, None for txt2img.
        modes: ways to hand pictures in, () for txt2img.
        start: the modes on the page where there are several.
    """

    name: str
    form: Form
    actions: Actions
    result: ResultPanel
    accordions: dict[str, gr.Accordion]
    picture: str | None = None
    modes: tuple[StartMode, ...] = ()
    start: StartForm | None = None


def new_form(tab: str, quick: QuickSettings) -> Form:
    """A form that already carries the quick settings."""
    form = Form(tab)
    quick.join(form)
    return form


def prompt_area(form: Form, choices: FormChoices) -> Actions:
    """Prompt, negative prompt, and beside them Generate, the tools and the styles."""
    tab = form.tab
    with gr.Column(elem_classes=["prompts"], elem_id=f"{tab}_prompt_container"):
        prompt, tokens = _prompt(
            form,
            "prompt",
            "Prompt",
            f"What should the picture show?  ({PLACEHOLDER})",
            f"{tab}_token_counter",
        )
        negative, negative_tokens = _prompt(
            form, "neg_prompt", "Negative prompt", "What should it not show?", f"{tab}_negative_token_counter"
        )
        dropped = gr.File(
            elem_id=f"{tab}_prompt_image", visible="hidden", type="filepath", label="Picture with parameters"
        )
        written = form.add(
            WRITTEN, gr.Textbox("", visible="hidden", label="Written", elem_id=f"{tab}_form_written")
        )
    with gr.Column(elem_classes=["actions"], elem_id=f"{tab}_actions_column"):
        with gr.Row(elem_classes=["generate-box"], elem_id=f"{tab}_generate_box"):
            generate = gr.Button("Generate", variant="primary", elem_id=f"{tab}_generate")
            icon_button("More ways to generate", "more", f"{tab}_generate_menu")
            interrupt = gr.Button(
                "Interrupt", variant="stop", elem_id=f"{tab}_interrupt", elem_classes=["while-busy"]
            )
            skip = gr.Button("Skip", elem_id=f"{tab}_skip", elem_classes=["while-busy"])
            pause = gr.Button("Pause", elem_id=f"{tab}_pause", elem_classes=["while-busy", "while-going"])
            resume = gr.Button("Resume", elem_id=f"{tab}_resume", elem_classes=["while-busy", "while-paused"])
        with gr.Row(elem_classes=["tools"], elem_id=f"{tab}_tools"):
            paste = icon_button(
                "Read parameters from the prompt, or from the last picture if it is empty",
                "paste",
                f"{tab}_paste",
            )
            clear = icon_button("Clear the prompts", "trash", f"{tab}_clear_prompt")
            apply = icon_button("Write the selected styles into the prompts", "apply", f"{tab}_style_apply")
        styles = form.add(
            "styles",
            gr.Dropdown(
                list(choices.styles),
                value=[],
                multiselect=True,
                label="Styles",
                elem_id=f"{tab}_styles",
                visible=bool(choices.styles),
                allow_custom_value=True,
            ),
        )
    return Actions(
        generate,
        interrupt,
        skip,
        pause,
        resume,
        paste,
        clear,
        apply,
        dropped,
        written,
        (prompt, negative),
        styles,
        (tokens, negative_tokens),
    )


def _prompt(
    form: Form, key: str, label: str, placeholder: str, counter_id: str
) -> tuple[gr.Textbox, gr.HTML]:
    with gr.Column(elem_classes=["prompt-box"], min_width=120):
        box = form.add(
            key,
            gr.Textbox(
                label=label,
                placeholder=placeholder,
                lines=2,
                max_lines=8,
                elem_id=form.element_id(key),
                elem_classes=["prompt"],
            ),
        )
        return box, counter(counter_id)
