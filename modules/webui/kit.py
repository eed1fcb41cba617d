"""What every tab of the page is given to lay itself out and to wire itself."""

from dataclasses import dataclass

import gradio as gr

from modules.services import Services
from modules.webui.events.generation_events import GenerationEvents
from modules.webui.form.choices import FormChoices
from modules.webui.form.quick_settings import QuickSettings
from modules.webui.tab import GenerationTab

__all__ = ["PageKit"]


@dataclass(frozen=True)
class PageKit:
    """The page while it is being built.

    Attributes:
        services: the owners of state.
        choices: what the drop-down lists offer at first.
        events: handlers that the generation tabs share.
        page: the page itself, for what happens when it is opened.
        tabs: the row of tabs; ``gr.Tabs(selected=name)`` as its output opens another tab.
        quick: the row above the tabs.
        generation: the tabs that make pictures, for sending pictures and parameters to them.
    """

    services: Services
    choices: FormChoices
    events: GenerationEvents
    page: gr.Blocks
    tabs: gr.Tabs
    quick: QuickSettings
    generation: tuple[GenerationTab, ...]
