"""The small counter in the corner of a prompt: tokens used and tokens that fit.

What it shows is asked for by ``page/prompt_map.js``, which also draws the chunks below the words.
"""

import gradio as gr

from modules.webui.assets import asset_text

__all__ = ["counter"]


def counter(elem_id: str) -> gr.HTML:
    """The counter's place on the page."""
    return gr.HTML(
        asset_text("counter.html"),
        elem_id=elem_id,
        elem_classes=["token-counter"],
        apply_default_css=False,
    )
