"""Buttons that describe the picture one starts from: its words become the prompt."""

from collections.abc import Callable

import gradio as gr

from modules.webui.form.form import WRITTEN, stamp
from modules.webui.form.generation_form import icon_button
from modules.webui.form.start_pictures import mode_of
from modules.webui.inside import inside
from modules.webui.kit import PageKit
from modules.webui.owner import owner_of
from modules.webui.tab import GenerationTab

__all__ = ["add_interrogation"]

_BUTTONS = (
    ("clip", "interrogate", "Interrogate CLIP: write what the picture shows into the prompt", "caption"),
    ("deepbooru", "deepbooru", "Interrogate DeepBooru: write the picture's tags into the prompt", "tags"),
)
"""Method, end of A1111's element id, label and icon."""


def add_interrogation(kit: PageKit) -> None:
    """Add the buttons to the tabs that start from a picture, and wire them."""
    for tab in kit.generation:
        if not tab.modes:
            continue
        keys = [
            key for key in dict.fromkeys(("mode", *(mode.field for mode in tab.modes))) if key in tab.form
        ]
        with inside(kit.page, f"{tab.name}_tools"):
            for method, name, label, icon in _BUTTONS:
                icon_button(label, icon, f"{tab.name}_{name}").click(
                    _describing(kit, tab, keys, method),
                    [tab.form[key] for key in keys],
                    [tab.form["prompt"], tab.form[WRITTEN]],
                    api_visibility="private",
                )


def _describing(
    kit: PageKit, tab: GenerationTab, keys: list[str], method: str
) -> Callable[..., tuple[str, str]]:
    services, reader = kit.services, kit.events.reader

    def describe(request: gr.Request, *sent: object) -> tuple[str, str]:
        values = dict(zip(keys, sent, strict=True))
        mode = mode_of(tab.modes, values)
        picture = reader.read(values.get(mode.field), owner_of(request), field=mode.field)
        if picture is None:
            raise gr.Error("Put a picture here first; then it can be described.")
        return services.interrogator.describe(picture.image, method, services.settings.current), stamp()

    return describe
