"""Adding components to a part of the page that was laid out before."""

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from gradio.blocks import BlockContext
from gradio.components import Component

__all__ = ["component_with_id", "inside"]


def component_with_id(page: gr.Blocks, elem_id: str) -> Component:
    """A component that was laid out before.

    Raises:
        LookupError: the page has none with this id.
    """
    for block in page.blocks.values():
        if isinstance(block, Component) and block.elem_id == elem_id:
            return block
    raise LookupError(f"the page has no component {elem_id}")


@contextmanager
def inside(page: gr.Blocks, elem_id: str) -> Iterator[None]:
    """Components made in this context become the last children of the row or column with this id.

    Raises:
        LookupError: the page has no such part.
    """
    found = [block for block in page.blocks.values() if getattr(block, "elem_id", None) == elem_id]
    part = next((block for block in found if isinstance(block, BlockContext)), None)
    if part is None:
        raise LookupError(f"the page has no part {elem_id}")
    parent = part.parent
    with part:
        yield
    part.parent = parent  # entering it again has made it a child of what is open now
