"""The small counter in the corner of a prompt: tokens used and tokens that fit."""

import html
from collections.abc import Callable
from functools import lru_cache

import gradio as gr

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.conditioning.embedding_names import EmbeddingNames
from modules.conditioning.token_count import count_tokens
from modules.conditioning.tokenizer import clip_tokenizer
from modules.services import Services

__all__ = ["counter", "counter_text"]


def counter(elem_id: str) -> gr.HTML:
    """The counter's place on the page."""
    return gr.HTML(
        "<span>0/75</span>", elem_id=elem_id, elem_classes=["token-counter"], apply_default_css=False
    )


def counter_text(
    services: Services, *, is_negative: bool
) -> Callable[[str, float, list[str] | None], object]:
    """Handler that counts a prompt with its styles, for a number of sampling steps."""

    def count(prompt: str, steps: float, styles: list[str] | None) -> object:
        settings = services.settings.current
        if settings.disable_token_counters:
            return ""
        text = prompt or ""
        if settings.include_styles_into_token_counters and styles:
            both = services.styles.apply("" if is_negative else text, text if is_negative else "", styles)
            text = both[is_negative]
        found = count_tokens(
            text,
            steps=max(1, int(steps or 1)),
            is_negative=is_negative,
            emphasis=settings.emphasis,
            embeddings=_names(services.embeddings, services.embeddings.version),
            comma_padding_backtrack=settings.comma_padding_backtrack,
        )
        chunks = " | ".join(" ".join(chunk) for chunk in found.chunks)
        return f'<span title="{html.escape(chunks, quote=True)}">{found.count}/{found.limit}</span>'

    return count


@lru_cache(maxsize=2)
def _names(catalog: EmbeddingCatalog, version: int) -> EmbeddingNames:  # noqa: ARG001  # part of the key
    """Embedding names as tokens, made anew when the catalog's version changes."""
    return EmbeddingNames((catalog,), clip_tokenizer())
