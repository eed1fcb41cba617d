"""Tools around the forms: queue, styles editor, cards of models, memory of the forms, and the page's menu."""

import platform
from importlib.metadata import version

import gradio as gr

from modules.generation.parameters import VERSION
from modules.settings.ui_config import UiConfig
from modules.webui.assets import asset_text
from modules.webui.form.generation_form import icon_button
from modules.webui.inside import inside
from modules.webui.kit import PageKit
from modules.webui.tools.form_defaults import apply_form_limits
from modules.webui.tools.form_memory import add_form_memory
from modules.webui.tools.interrogation import add_interrogation
from modules.webui.tools.queue_wiring import add_queue

__all__ = ["add_page_tools"]


def add_page_tools(kit: PageKit) -> None:
    """Add the tools to a page whose tabs are laid out, and wire them."""
    config = UiConfig(kit.services.options.folders.data / "ui-config.json")
    with inside(kit.page, "quicksettings"):
        gr.HTML(asset_text("page_tools.html"), elem_id="page_tools", padding=False, apply_default_css=False)
        chosen = gr.Button("Use this checkpoint", visible="hidden", elem_id="card_checkpoint")
        styles_changed = gr.Button("Read the styles again", visible="hidden", elem_id="styles_changed")
    chosen.click(
        None,
        None,
        kit.quick.checkpoint,
        js="() => studio.cards.chosen",
        queue=False,
        api_visibility="private",
    )
    for tab in kit.generation:
        apply_form_limits(tab, config)
        with inside(kit.page, f"{tab.name}_tools"):
            icon_button("Edit styles", "styles", f"{tab.name}_styles_edit_button")
        with inside(kit.page, f"{tab.name}_settings"):
            gr.HTML(
                asset_text("extra_tabs.html"),
                elem_id=f"{tab.name}_extra_tabs",
                elem_classes=["extra-tabs"],
                padding=False,
                apply_default_css=False,
            )
    footer = asset_text("footer.html").replace("VERSIONS", _versions())
    gr.HTML(footer, elem_id="footer", padding=False, apply_default_css=False)
    _wire_styles(kit, styles_changed)
    add_interrogation(kit)
    add_queue(kit)
    add_form_memory(kit)


def _versions() -> str:
    numbers = {"Python": platform.python_version(), **{name: version(name) for name in ("torch", "gradio")}}
    return " · ".join([VERSION, *(f"{name} {number}" for name, number in numbers.items())])


def _wire_styles(kit: PageKit, changed: gr.Button) -> None:
    """After the editor has saved, the lists of all tabs offer what there is now."""
    lists = [tab.form["styles"] for tab in kit.generation]

    def read() -> list[object]:
        names = list(kit.services.styles.styles)
        return [gr.Dropdown(choices=names, visible=bool(names)) for _ in lists]

    changed.click(read, None, lists, queue=False, show_progress="hidden", api_visibility="private")
