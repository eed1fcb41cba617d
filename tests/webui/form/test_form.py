import gradio as gr
import pytest

from modules.webui.form.form import Form


def two_fields() -> Form:
    form = Form("txt2img")
    form.add("steps", gr.Slider(1, 150, 20))
    form.add("prompt", gr.Textbox())
    return form


def test_values_get_the_names_of_their_controls_in_order() -> None:
    assert two_fields().values([30, "a cat"]) == {"steps": 30, "prompt": "a cat"}


def test_a_missing_value_is_noticed() -> None:
    with pytest.raises(ValueError, match="shorter"):
        two_fields().values([30])


def test_a_key_is_taken_only_once() -> None:
    with pytest.raises(ValueError, match="steps"):
        two_fields().add("steps", gr.Number())


def test_updates_leave_other_controls_alone() -> None:
    assert two_fields().updates({"prompt": "new"}, None) == [None, "new"]


def test_element_ids_are_those_of_a1111() -> None:
    assert Form("img2img").element_id("cfg_scale") == "img2img_cfg_scale"
