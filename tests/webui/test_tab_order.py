import gradio as gr

from modules.services import Services
from modules.webui.page import build_page


def tabs_of(services: Services) -> list[gr.Tab]:
    page = build_page(services)
    row = next(block for block in page.blocks.values() if block.elem_id == "tabs")
    assert isinstance(row, gr.Tabs)
    return [tab for tab in row.children if isinstance(tab, gr.Tab)]


def test_tabs_stand_in_the_order_that_the_settings_want(services: Services) -> None:
    services.settings.update({"ui_tab_order": ["Settings", "img2img"]})
    assert [tab.label for tab in tabs_of(services)][:3] == ["Settings", "img2img", "txt2img"]


def test_tabs_are_hidden_by_name_but_never_the_settings(services: Services) -> None:
    services.settings.update({"hidden_tabs": ["Checkpoint Merger", "Settings"]})
    shown = [tab.label for tab in tabs_of(services) if tab.visible]
    assert "Checkpoint Merger" not in shown
    assert "Settings" in shown
