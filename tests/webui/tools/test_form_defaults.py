import json
import logging

import gradio as gr
import pytest

from modules.services import Services
from modules.webui.page import build_page

CONFIG = {
    "txt2img/Sampling steps/maximum": 300,
    "txt2img/Sampling steps/value": 33,
    "txt2img/CFG Scale/step": 0.1,
    "txt2img/Width/minimum": 9000,
    "txt2img/Batch size/visible": False,
    "txt2img/Seed/maximum": 3,
}


def test_limits_come_from_ui_config_json_and_wrong_ones_are_left_out(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    (services.options.folders.data / "ui-config.json").write_text(json.dumps(CONFIG), "utf-8")
    with caplog.at_level(logging.WARNING):
        page = build_page(services)
    found = {str(block.elem_id): block for block in page.blocks.values() if getattr(block, "elem_id", None)}

    def slider(name: str) -> gr.Slider:
        block = found[f"txt2img_{name}"]
        assert isinstance(block, gr.Slider)
        return block

    assert slider("steps").maximum == 300
    assert slider("cfg_scale").step == 0.1
    assert slider("width").minimum == 64
    assert slider("batch_size").visible is False
    assert slider("steps").value == 20  # the browser asks for values itself
    assert [record.getMessage().split()[1] for record in caplog.records] == [
        "txt2img/Width/minimum",
        "txt2img/Seed/maximum",
    ]
