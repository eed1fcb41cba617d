"""The row above the tabs: checkpoint, VAE and CLIP skip of this page, for all its tabs.

They belong to the page and travel inside each request. Another visitor, another tab or a client of
the API never sees them change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import gradio as gr
from gradio.components import Component

from modules.webui.form.choices import FormChoices
from modules.webui.form.form import Form
from modules.webui.form.generation_form import icon_button

__all__ = ["QuickSettings", "quick_settings"]


@dataclass(frozen=True)
class QuickSettings:
    """Components of the row.

    Attributes:
        refresh: reads the folders again.
        options: further settings by key, as the owner wants them at hand.
    """

    checkpoint: gr.Dropdown
    vae: gr.Dropdown
    clip_skip: gr.Slider
    refresh: gr.Button
    options: Mapping[str, Component] = field(default_factory=dict)

    def join(self, form: Form) -> None:
        """Let the row's values travel with a form."""
        form.add("setting_sd_model_checkpoint", self.checkpoint)
        form.add("setting_sd_vae", self.vae)
        form.add("setting_CLIP_stop_at_last_layers", self.clip_skip)
        for key, component in self.options.items():
            form.add(f"setting_{key}", component)


def quick_settings(
    choices: FormChoices,
    language: Callable[[], object] = lambda: None,
    more: Callable[[], Mapping[str, Component]] = dict,
) -> QuickSettings:
    """Lay the row out.

    Args:
        choices: what the lists offer.
        language: makes the choice of the language in it.
        more: makes further settings, in a row below; they are known by their keys.
    """
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
    with gr.Row(elem_id="quicksettings_more") as row:
        options = more()
    row.visible = bool(options)
    return QuickSettings(checkpoint, vae, clip_skip, refresh, options)
