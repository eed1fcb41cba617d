"""The tab History: everything made so far, to find again, compare, take up and throw away."""

import json
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from modules.domain.infotext import split_infotext
from modules.exceptions import NotFoundError
from modules.history.difference import carry_over
from modules.webui.assets import asset_text, component_script
from modules.webui.events.generation_events import form_updates
from modules.webui.form.paste import pasted_values
from modules.webui.kit import PageKit
from modules.webui.owner import owner_of
from modules.webui.result.selection import selected_picture
from modules.webui.tab import GenerationTab

__all__ = ["changed_values", "history_tab"]

_TEXTS = ("prompt", "neg_prompt")


def history_tab(kit: PageKit) -> None:
    """Lay the tab out; its own script asks the API for everything but filling a form."""
    names = [f"{what}_{tab.name}" for what in ("send", "apply") for tab in kit.generation]
    extras = _extras_picture(kit)
    if extras is not None:
        names.append("send_extras")
    with gr.Tab("History", id="history", elem_id="tab_history"):
        history = gr.HTML(
            {},
            html_template=asset_text("history.html"),
            js_on_load=component_script("history.js").replace("EVENTS", json.dumps(names)),
            elem_id="history",
            apply_default_css=False,
        )
    for tab in kit.generation:
        outputs = [*tab.form.components, *tab.accordions.values(), kit.tabs]
        texts = [tab.form[key] for key in _TEXTS]
        getattr(history, f"send_{tab.name}")(
            _send(kit, tab), history, outputs, show_progress="hidden", api_visibility="private"
        )
        getattr(history, f"apply_{tab.name}")(
            _apply(kit, tab), [history, *texts], outputs, show_progress="hidden", api_visibility="private"
        )

    if extras is not None:
        history.send_extras(
            _send_to_extras(kit),
            history,
            [extras, kit.tabs],
            show_progress="hidden",
            api_visibility="private",
        )


def changed_values(
    first: dict[str, object], second: dict[str, object], texts: dict[str, str]
) -> dict[str, object]:
    """What a form's controls have to become so that it changes as the first picture's did to the second's.

    Args:
        first: values of all controls that the first picture's parameters speak of.
        second: those of the second picture.
        texts: the prompts as they stand in the form; they are changed word by word.
    """
    changed = {key: value for key, value in second.items() if first.get(key) != value}
    for key, text in texts.items():
        if key in changed or key in first.keys() - second.keys():
            changed[key] = carry_over(str(first.get(key, "")), str(second.get(key, "")), text)
    return changed


def _send(kit: PageKit, tab: GenerationTab) -> Callable[..., list[object]]:
    """Take a picture, or its parameters where the tab takes no pictures, to a tab and open it."""

    def send(payload: object, request: gr.Request) -> list[object]:
        if tab.picture is not None:
            return kit.events.send(tab)(payload, request)
        found = selected_picture(kit.services.jobs, payload, request)
        return [*kit.events.fill(tab, found.image.infotext), gr.Tabs(selected=tab.name)]

    return send


def _extras_picture(kit: PageKit) -> gr.HTML | None:
    """The field of the tab Extras that takes one picture; None while that tab is not laid out."""
    found = (block for block in kit.page.blocks.values() if getattr(block, "elem_id", "") == "extras_image")
    return next((block for block in found if isinstance(block, gr.HTML)), None)


def _send_to_extras(kit: PageKit) -> Callable[[object, gr.Request], list[object]]:
    def send(payload: object, request: gr.Request) -> list[object]:
        image = selected_picture(kit.services.jobs, payload, request).image
        return [{"image": {"id": image.id, "name": Path(image.path).name}}, gr.Tabs(selected="extras")]

    return send


def _apply(kit: PageKit, tab: GenerationTab) -> Callable[..., list[object]]:
    """Make the change from one picture's parameters to another's in the tab's form, and open the tab."""

    def apply(payload: object, prompt: str, negative: str, request: gr.Request) -> list[object]:
        asked = payload if isinstance(payload, dict) else {}
        try:
            pictures = kit.services.history.index.pictures(
                [str(asked.get(key)) for key in ("first", "second")], owner_of(request)
            )
        except NotFoundError:
            raise gr.Error("There is no such picture.") from None
        first, second = (_values(kit, picture.infotext) for picture in pictures)
        changes = changed_values(first, second, dict(zip(_TEXTS, (prompt, negative), strict=True)))
        if not changes:
            gr.Info("The two pictures have the same parameters: nothing was changed.")
        return [*form_updates(tab, changes), gr.Tabs(selected=tab.name)]

    return apply


def _values(kit: PageKit, infotext: str) -> dict[str, object]:
    """Values of controls, both prompts among them and with nothing taken for a style."""
    document = split_infotext(infotext)
    values = pasted_values(infotext, kit.services.settings.current)
    return {**values, "prompt": document.prompt, "neg_prompt": document.negative_prompt}
