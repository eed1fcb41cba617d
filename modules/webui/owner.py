"""Whose jobs a page shows, and what of the server is his business."""

import gradio as gr

from modules.domain.principal import LOCAL, Principal

__all__ = ["LOCAL_OWNER", "is_admin", "owner_of", "visitor_of"]

LOCAL_OWNER = LOCAL.name  # whoever sits at this machine, where nobody has to log in


def owner_of(request: gr.Request) -> str:
    """The name under which the visitor's jobs run: his login, as the server's middleware found it."""
    return request.username or LOCAL_OWNER


def is_admin(request: gr.Request) -> bool:
    """Whether settings and folders of the server are the visitor's business, as the middleware found it."""
    scope = {} if request.request is None else request.request.scope
    principal = scope.get("state", {}).get("principal")
    return principal is not None and bool(principal.is_admin)


def visitor_of(request: gr.Request) -> Principal:
    """Who has sent a form."""
    return Principal(owner_of(request), "admin" if is_admin(request) else "artist")
