"""The page: quick settings above, one tab a file below, and the wires between them."""

from collections.abc import Callable
from pathlib import Path

import gradio as gr

from modules.domain.languages import LanguageCatalog
from modules.services import Services
from modules.settings.options import Settings
from modules.webui.events.generation_events import GenerationEvents
from modules.webui.form.choices import read_choices
from modules.webui.form.quick_options import quick_options
from modules.webui.form.quick_settings import quick_settings
from modules.webui.kit import PageKit
from modules.webui.language import language_choice
from modules.webui.tabs.extensions import extensions_tab
from modules.webui.tabs.extras import extras_tab
from modules.webui.tabs.history import history_tab
from modules.webui.tabs.img2img import img2img_tab
from modules.webui.tabs.inpaint import inpaint_tab
from modules.webui.tabs.merger import merger_tab
from modules.webui.tabs.png_info import png_info_tab
from modules.webui.tabs.settings import settings_tab
from modules.webui.tabs.train import train_tab
from modules.webui.tabs.txt2img import txt2img_tab
from modules.webui.tools.page_tools import add_page_tools
from modules.webui.wiring import wire_generation_tabs

__all__ = ["TITLE", "build_page", "upload_folder"]

TITLE = "Diffusion Studio"
UPLOADS_KEPT_SECONDS = 24 * 3600  # a form left open over night keeps its picture

# The tabs behind the generation tabs, in their order: each lays itself out and wires itself.
TOOL_TABS: tuple[Callable[[PageKit], None], ...] = (
    extras_tab,
    png_info_tab,
    history_tab,
    merger_tab,
    train_tab,
    settings_tab,
    extensions_tab,
)


def upload_folder(services: Services) -> Path:
    """Where Gradio keeps uploads: inside the private data folder, not in the system's /tmp."""
    return services.options.folders.data / "uploads"


def build_page(services: Services) -> gr.Blocks:
    """Build the page with all tabs. Nothing is read from a model file but its name and header."""
    choices = read_choices(services)
    events = GenerationEvents(services, upload_folder(services))
    folders = services.options.folders
    languages = LanguageCatalog.of(folders.data.parent, folders.extensions)
    with gr.Blocks(
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3600, UPLOADS_KEPT_SECONDS),
    ) as page:
        quick = quick_settings(
            choices,
            lambda: language_choice(languages, services.settings.current.localization),
            lambda: quick_options(services.settings.current),
        )
        with gr.Tabs(elem_id="tabs", selected="txt2img") as tabs:
            generation = tuple(lay_out(choices, quick) for lay_out in (txt2img_tab, img2img_tab, inpaint_tab))
            kit = PageKit(services, choices, events, page, tabs, quick, generation)
            for tool in TOOL_TABS:
                tool(kit)
            _arrange(tabs, services.settings.current)
        wire_generation_tabs(kit)
        add_page_tools(kit)
    return page


def _arrange(tabs: gr.Tabs, settings: Settings) -> None:
    """Put the tabs into the order that the settings want, and hide those that they name."""
    places = {label.strip().lower(): place for place, label in enumerate(settings.ui_tab_order)}
    hidden = {label.strip().lower() for label in settings.hidden_tabs}
    for tab in tabs.children:
        if isinstance(tab, gr.Tab) and str(tab.label).lower() in hidden and tab.id != "settings":
            tab.visible = False
    tabs.children.sort(key=lambda tab: places.get(str(getattr(tab, "label", "")).lower(), len(places)))
