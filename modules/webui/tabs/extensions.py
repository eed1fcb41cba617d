"""The tab Extensions: what is installed, what it asks for, and whether it is switched on.

Extensions are installed by putting a folder into ``extensions/``, never over the network.
"""

from collections.abc import Sequence
from html import escape

import gradio as gr

from modules.exceptions import WebuiError
from modules.plugins.manifest import InstalledExtension
from modules.services import Services
from modules.webui.kit import PageKit
from modules.webui.messages import explain
from modules.webui.owner import is_admin

__all__ = ["describe_extensions", "extensions_tab"]

DISABLE_ALL = ("none", "extra", "all")


def extensions_tab(kit: PageKit) -> None:
    """Lay the tab out and wire it."""
    services = kit.services
    with gr.Tab("Extensions", id="extensions", elem_id="tab_extensions"):
        with gr.Row(elem_classes=["settings-pane"]):
            enabled = gr.CheckboxGroup(
                [], label="Extensions that are switched on", elem_id="extensions_enabled", scale=3
            )
            disable_all = gr.Radio(
                list(DISABLE_ALL),
                value="none",
                label="Disable all extensions",
                elem_id="extensions_disable_all",
                scale=1,
            )
            apply = gr.Button("Apply", variant="primary", elem_id="extensions_apply", scale=0, min_width=120)
        notice = gr.HTML("", elem_id="extensions_notice", apply_default_css=False)
        listed = gr.HTML("", elem_id="extensions_list", apply_default_css=False)
    shown = [enabled, disable_all, listed]
    kit.page.load(lambda: _current(services), None, shown, show_progress="hidden", api_visibility="private")

    def change(switched_on: list[str], all_off: str, request: gr.Request) -> list[object]:
        if not is_admin(request):
            return ["<p role='alert'>Only an administrator can switch extensions.</p>", *_current(services)]
        installed = services.plugins.installed()
        try:
            services.settings.update(
                {
                    "disabled_extensions": [one.id for one in installed if one.id not in switched_on],
                    "disable_all_extensions": all_off,
                }
            )
        except WebuiError as error:
            return [f"<p role='alert'>{escape(explain(error).text)}</p>", *_current(services)]
        return ["<p role='status'>Applied; the next job goes by it.</p>", *_current(services)]

    apply.click(
        change,
        [enabled, disable_all],
        [notice, *shown],
        show_progress="hidden",
        api_visibility="private",
    )


def _current(services: Services) -> list[object]:
    installed = services.plugins.installed()
    off = services.settings.current.disabled_extensions
    return [
        gr.CheckboxGroup(
            choices=[(one.name, one.id) for one in installed],
            value=[one.id for one in installed if one.id not in off],
        ),
        gr.Radio(value=services.settings.current.disable_all_extensions),
        describe_extensions(installed),
    ]


def describe_extensions(installed: Sequence[InstalledExtension]) -> str:
    """The extensions as HTML; what their manifests say stands in it as text only."""
    if not installed:
        return (
            '<p class="extensions-none">No extension is installed. Put a folder with an extension.toml into '
            "extensions/ and reload the page.</p>"
        )
    return f'<ul class="extensions">{"".join(map(_card, installed))}</ul>'


def _card(one: InstalledExtension) -> str:
    asks = "".join(f"<li>{escape(what)}</li>" for what in one.asks_for) or "<li>nothing</li>"
    state = "on" if one.enabled else "off"
    error = f'<p role="alert">{escape(one.error)}</p>' if one.error else ""
    return (
        f'<li class="extension is-{state}"><h3 translate="no">{escape(one.name)} '
        f"<small>{escape(one.version)}</small></h3>"
        f'<p translate="no">{escape(one.description)}</p>{error}<h4>It asks for</h4><ul>{asks}</ul></li>'
    )
