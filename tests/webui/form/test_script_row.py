"""The script row: from a form's values to a script and its arguments."""

from pathlib import Path

import gradio as gr
import pytest

from modules.domain.script import read_arguments
from modules.domain.script_declarations import PLOT
from modules.generation.scripts.choices import script_choices
from modules.services import Services, catalogs_of
from modules.settings.options import Settings
from modules.webui.form.choices import read_choices
from modules.webui.form.form import Form
from modules.webui.form.paste import pasted_values
from modules.webui.form.request_builder import build_request
from modules.webui.form.script_row import script_row
from modules.webui.form.script_values import chosen_script
from tests.webui.fake_services import fake_services


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return fake_services(tmp_path)


def laid_out(tab: str, services: Services) -> Form:
    form = Form(tab)
    with gr.Blocks(analytics_enabled=False):
        script_row(form, read_choices(services))
    return form


def shown_values(form: Form) -> dict[str, object]:
    return {key: getattr(form[key], "value", None) for key in form.keys}


def test_no_script_is_no_script(services: Services) -> None:
    values = shown_values(laid_out("txt2img", services))
    assert chosen_script(values) == (None, ())
    assert build_request(values, overrides={}).script_name is None


@pytest.mark.parametrize(("tab", "kind"), [("txt2img", "txt2img"), ("inpaint", "img2img")])
def test_every_script_of_the_tab_is_offered(tab: str, kind: str, services: Services) -> None:
    offered = laid_out(tab, services)["script"]
    titles = [one.title for one in services.plugins.scripts.declarations(kind)]
    assert isinstance(offered, gr.Dropdown)
    assert [value for _, value in offered.choices] == ["None", *titles]


def test_arguments_of_the_chosen_script_alone_are_sent(services: Services) -> None:
    written = {"SD upscale": [None, 32, "None", 2.0], "Loopback": [9]}
    values = {**shown_values(laid_out("img2img", services)), "script_arguments": written}
    request = build_request({**values, "script": "SD upscale"}, overrides={})
    assert request.script_name == "SD upscale"
    assert request.script_args == (None, 32, "None", 2.0)
    untouched = build_request({**values, "script": "Prompt matrix"}, overrides={})
    assert (untouched.script_name, untouched.script_args) == ("Prompt matrix", ())


def test_the_parameters_of_a_plot_fill_the_row_again(services: Services) -> None:
    lists = script_choices(catalogs_of(services), Settings(), "txt2img")
    text = (
        "a cat\nSteps: 3, Sampler: Euler, CFG scale: 7.0, Seed: 11, Size: 64x64, Script: X/Y/Z plot, "
        'X Type: Steps, X Values: "3,7", Y Type: Sampler, Y Values: "Euler,DDIM", Version: v1.10.1'
    )
    values = {**shown_values(laid_out("txt2img", services)), **pasted_values(text, Settings())}
    title, sent = chosen_script(values)
    assert title == "X/Y/Z plot"
    read = read_arguments(PLOT, sent, lists)
    assert [lists["axes"][read.whole(f"{letter}_type")] for letter in "xyz"] == [
        "Steps",
        "Sampler",
        "Nothing",
    ]
    assert (read.text("x_values"), read.names("y_values_dropdown")) == ("3,7", ("Euler", "DDIM"))
    plain = pasted_values(text.replace(", Script: X/Y/Z plot", ""), Settings())
    assert plain["script"] == "None"
