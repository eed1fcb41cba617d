"""The row above the tabs: checkpoint, VAE and CLIP skip of this page, for all its tabs.

They belong to the page and travel inside each request. Another visitor, another tab or a client of
the API never sees them change.
"""

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from modules.webui.choices import FormChoices
from modules.webui.form import Form
from modules.webui.generation_form import icon_button

__all__ = ["QuickSettings", "quick_settings"]


@dataclass(frozen=True)
class QuickSettings:
    """Components of the row; ``refresh`` reads the folders again."""

    checkpoint: gr.Dropdown
    vae: gr.Dropdown
    clip_skip: gr.Slider
    refresh: gr.Button

    def join(self, form: Form) -> None:
        """Let the row's values travel with a form."""
        form.add("setting_sd_model_checkpoint", self.checkpoint)
        form.add("setting_sd_vae", self.vae)
        form.add("setting_CLIP_stop_at_last_layers", self.clip_skip)


def quick_settings(choices: FormChoices, language: Callable[[], object] = lambda: None) -> QuickSettings:
    """Lay the row out; ``language`` makes the choice of the language in it."""
    with gr.Row(elem_id="quicksettings"):
        gr.HTML(
            '<span class="brand-mark" aria-hidden="true"></span><span translate="no">Diffusion Studio</span>',
            elem_id="brand",
        )
        with gr.Row(elem_classes=["with-tool"], elem_id="quick_checkpoint"):
            checkpoint = gr.Dropdown(
                list(choices.checkpoints),
                value=choices.checkpoint or None,
                label="Stable Diffusion checkpoint",
                allow_custom_value=True,
                elem_id="setting_sd_model_checkpoint",
                min_width=200,
            )
            refresh = icon_button("Refresh the lists of models", "refresh", "refresh_sd_model_checkpoint")
        vae = gr.Dropdown(
            list(choices.vaes),
            value=choices.vae,
            label="SD VAE",
            allow_custom_value=True,
            elem_id="setting_sd_vae",
            min_width=140,
        )
        clip_skip = gr.Slider(
            1,
            12,
            choices.clip_skip,
            step=1,
            label="Clip skip",
            elem_id="setting_CLIP_stop_at_last_layers",
            min_width=140,
            buttons=[],
        )
        language()
        icon_button("Dark or light", "theme", "theme_switch")
    return QuickSettings(checkpoint, vae, clip_skip, refresh)
