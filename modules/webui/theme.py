"""Colours, spacing and type of the page as a Gradio theme; ``assets/page/base.css`` does the layout."""

import gradio as gr
from gradio.themes.utils import colors, sizes

__all__ = ["page_theme"]

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Noto Sans CJK SC", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono", "monospace")

# one accent: a violet that keeps a contrast of at least 4.5 with white text (600) and on dark panels (400)
ACCENT = colors.Color(
    name="iris",
    c50="#f4f3ff",
    c100="#ebe9fe",
    c200="#d9d6fe",
    c300="#bdb4fe",
    c400="#9b8afb",
    c500="#7a5af8",
    c600="#6938ef",
    c700="#5925dc",
    c800="#4a1fb8",
    c900="#3e1c96",
    c950="#27115f",
)


def page_theme() -> gr.themes.Base:
    """The theme, dark and light."""
    return gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=colors.zinc,
        spacing_size=sizes.spacing_sm,
        radius_size=sizes.radius_md,
        text_size=sizes.text_sm,
        font=list(FONT),
        font_mono=list(MONO),
    ).set(
        body_background_fill="#f6f6f9",
        body_background_fill_dark="#0f0f13",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#17171d",
        background_fill_secondary="#f1f1f5",
        background_fill_secondary_dark="#1e1e26",
        block_background_fill="#ffffff",
        block_background_fill_dark="#17171d",
        block_border_color="#e4e4ec",
        block_border_color_dark="#2a2a35",
        border_color_primary="#dfdfe8",
        border_color_primary_dark="#32323f",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="500",
        block_title_text_color="#51515f",
        block_title_text_color_dark="#a9a9b8",
        block_shadow="none",
        block_shadow_dark="none",
        input_background_fill="#f7f7fa",
        input_background_fill_dark="#101015",
        input_border_color="#dfdfe8",
        input_border_color_dark="#32323f",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_400",
        input_shadow="none",
        input_shadow_focus="0 0 0 3px rgba(122, 90, 248, 0.22)",
        input_shadow_focus_dark="0 0 0 3px rgba(155, 138, 251, 0.28)",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#22222b",
        button_secondary_background_fill_hover="#f1f1f5",
        button_secondary_background_fill_hover_dark="#2c2c37",
        button_secondary_border_color="#dfdfe8",
        button_secondary_border_color_dark="#343442",
        button_border_width="1px",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
        checkbox_background_color_selected="*primary_600",
        checkbox_background_color_selected_dark="*primary_500",
        body_text_color="#1c1c24",
        body_text_color_dark="#ececf2",
        body_text_color_subdued="#686878",
        body_text_color_subdued_dark="#9797a8",
        layout_gap="8px",
        form_gap_width="8px",
        block_padding="8px 12px",
    )
