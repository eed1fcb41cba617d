"""What the page tells a browser so that it can remember its forms."""

import gradio as gr
import pytest

from modules.services import Services
from modules.webui.form.form import WRITTEN
from modules.webui.kit import PageKit
from modules.webui.page import build_page
from modules.webui.tools import form_memory, page_tools

ONLY_CHOICES = ("refresh_sd_model_checkpoint", "styles_changed")  # what they write is no value


@pytest.fixture
def kit(services: Services, monkeypatch: pytest.MonkeyPatch) -> PageKit:
    """The page's kit, taken where it is handed to the memory."""
    kits: list[PageKit] = []
    monkeypatch.setattr(page_tools, "add_form_memory", kits.append)
    build_page(services)
    return kits[0]


def test_the_server_says_so_whenever_it_writes_into_a_form(kit: PageKit) -> None:
    names = {block._id: str(getattr(block, "elem_id", "")) for block in kit.page.blocks.values()}
    seen = 0
    for event in kit.page.fns.values():
        triggers = [(names.get(block or 0, ""), name) for block, name in event.targets]
        if event.fn is None or any(name == "load" or button in ONLY_CHOICES for button, name in triggers):
            continue
        for tab in kit.generation:
            own = form_memory.remembered_fields(tab).items()
            values = [field for key, field in own if key != "mode" and not key.startswith("setting_")]
            if any(field in event.outputs for field in values):
                assert tab.form[WRITTEN] in event.outputs, triggers
                seen += 1
    assert seen > 30


def test_the_sign_of_writing_is_not_remembered_itself(kit: PageKit) -> None:
    for tab in kit.generation:
        assert WRITTEN not in form_memory.remembered_fields(tab)


def test_pages_do_not_listen_for_the_change_of_each_field(services: Services) -> None:
    page = build_page(services)
    changes = [block for event in page.fns.values() for block, name in event.targets if name == "change"]
    assert len(changes) < 24
    assert not any(isinstance(page.blocks[block or 0], gr.Slider) for block in changes)
