"""The choice of the page's language."""

from html import escape

import gradio as gr

from modules.domain.languages import LanguageCatalog

__all__ = ["language_choice"]

_OWN_NAMES = {"zh-Hans": "简体中文"}  # a language is listed in its own words


def language_choice(languages: LanguageCatalog, preferred: str) -> gr.HTML:
    """A small list; ``preferred`` is the setting ``localization``, for browsers that chose nothing yet."""
    options = "".join(
        f'<option value="{escape(name)}">{escape(_OWN_NAMES.get(name, name))}</option>'
        for name in languages.names()
    )
    first = preferred if preferred in languages.names() else ""
    return gr.HTML(
        f'<select id="language" aria-label="Language" translate="no" data-preferred="{escape(first)}">'
        f'<option value="">English</option>{options}</select>',
        elem_id="language_choice",
        elem_classes=["quick-tool"],
    )
