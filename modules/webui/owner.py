"""Whose jobs a page shows."""

import gradio as gr

__all__ = ["LOCAL_OWNER", "owner_of"]

LOCAL_OWNER = "local"  # whoever sits at this machine, where nobody has to log in


def owner_of(request: gr.Request) -> str:
    """The name under which the visitor's jobs run: his login, as the server's middleware found it."""
    return request.username or LOCAL_OWNER
