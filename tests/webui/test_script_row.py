"""The script row: from a form's values to a script and its arguments."""

from pathlib import Path

import gradio as gr

from modules.domain.script import read_arguments
from modules.domain.script_declarations import LOOPBACK, PLOT, SD_UPSCALE
from modules.settings.options import Settings
from modules.webui.form import Form
from modules.webui.paste import pasted_values
from modules.webui.request_builder import build_request
from modules.webui.script_offer import ScriptOffer
from modules.webui.script_row import script_row
from modules.webui.script_values import argument_key, chosen_script
from tests.webui.fake_services import fake_services


def laid_out(tab: str, root: Path) -> tuple[Form, ScriptOffer]:
    offer = ScriptOffer(fake_services(root))
    form = Form(tab)
    with gr.Blocks(analytics_enabled=False):
        script_row(form, offer)
    return form, offer


def shown_values(form: Form) -> dict[str, object]:
    return {key: getattr(form[key], "value", None) for key in form.keys}


def test_no_script_is_no_script(tmp_path: Path) -> None:
    values = shown_values(laid_out("txt2img", tmp_path)[0])
    assert chosen_script(values) == (None, ())
    assert build_request(values, overrides={}).script_name is None


def test_untouched_controls_send_the_defaults_of_every_script(tmp_path: Path) -> None:
    for tab, kind in (("txt2img", "txt2img"), ("img2img", "img2img"), ("inpaint", "img2img")):
        form, offer = laid_out(tab, tmp_path / tab)
        values, lists = shown_values(form), offer.lists(kind)
        for declaration in offer.declarations(kind):
            title, sent = chosen_script({**values, "script": declaration.title})
            assert title == declaration.title
            assert read_arguments(declaration, sent, lists) == read_arguments(declaration, [], lists)


def test_arguments_travel_by_position_past_notes(tmp_path: Path) -> None:
    form, _ = laid_out("img2img", tmp_path)
    values = {**shown_values(form), "script": "SD upscale", argument_key(SD_UPSCALE, 1): 32}
    request = build_request(values, overrides={})
    assert request.script_name == "SD upscale"
    assert request.script_args == (None, 32, "None", 2.0)


def test_the_parameters_of_a_plot_fill_the_row_again(tmp_path: Path) -> None:
    form, offer = laid_out("txt2img", tmp_path)
    text = (
        "a cat\nSteps: 3, Sampler: Euler, CFG scale: 7.0, Seed: 11, Size: 64x64, Script: X/Y/Z plot, "
        'X Type: Steps, X Values: "3,7", Y Type: Sampler, Y Values: "Euler,DDIM", Version: v1.10.1'
    )
    values = {**shown_values(form), **pasted_values(text, Settings())}
    title, sent = chosen_script(values)
    assert title == "X/Y/Z plot"
    read = read_arguments(PLOT, sent, offer.lists("txt2img"))
    axes = offer.lists("txt2img")["axes"]
    assert [axes[read.whole(f"{letter}_type")] for letter in "xyz"] == ["Steps", "Sampler", "Nothing"]
    assert (read.text("x_values"), read.names("y_values_dropdown")) == ("3,7", ("Euler", "DDIM"))
    plain = pasted_values(text.replace(", Script: X/Y/Z plot", ""), Settings())
    assert plain["script"] == "None"


def test_element_ids_are_those_that_a1111s_users_know(tmp_path: Path) -> None:
    form, _ = laid_out("txt2img", tmp_path)
    ids = {form[key].elem_id for key in form.keys}
    assert {
        "script_list",
        "script_txt2img_xyz_plot_x_type",
        "script_txt2img_prompt_matrix_margin_size",
    } <= ids
    form, _ = laid_out("img2img", tmp_path / "other")
    assert form[argument_key(LOOPBACK, 0)].elem_id == "script_loopback_loops"


def test_controls_are_as_declared(tmp_path: Path) -> None:
    form, _ = laid_out("txt2img", tmp_path)
    kinds = [type(form[argument_key(PLOT, place)]) for place in (0, 1, 2, 9, 16)]
    assert kinds == [gr.Dropdown, gr.Textbox, gr.Dropdown, gr.Checkbox, gr.Slider]
