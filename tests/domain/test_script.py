"""Arguments of scripts: read by position, refused with the argument's name."""

import pytest
from pydantic import JsonValue

from modules.domain.infotext import parse_infotext, with_parameters
from modules.domain.script import ScriptArgument, ScriptDeclaration, read_arguments
from modules.domain.script_declarations import LOOPBACK, PLOT, POOR_MANS_OUTPAINTING, SD_UPSCALE
from modules.exceptions import RequestError

UPSCALERS = {"upscalers": ("None", "Lanczos")}


def test_missing_arguments_are_the_defaults_and_surplus_ones_are_ignored() -> None:
    values = read_arguments(LOOPBACK, [2], {}).values
    assert values == {
        "loops": 2,
        "final_denoising_strength": 0.5,
        "denoising_curve": "Linear",
        "append_interrogation": "None",
    }
    assert read_arguments(LOOPBACK, [None] * 9, {}).whole("loops") == 4


@pytest.mark.parametrize(("sent", "place"), [(1, 1), ("lanczos", 1), ("Lanczos", 1), (0, 0)])
def test_a_choice_is_sent_by_name_or_by_place(sent: JsonValue, place: int) -> None:
    assert read_arguments(SD_UPSCALE, ["", 8, sent, 2.0], UPSCALERS).whole("upscaler_index") == place


def test_whole_numbers_stay_whole_and_fractions_fractions() -> None:
    read = read_arguments(SD_UPSCALE, ["", 16.0, 0, 2.0], UPSCALERS)
    assert repr(read.number("overlap")) == "16"
    assert repr(read.number("scale_factor")) == "2.0"


@pytest.mark.parametrize(
    ("declaration", "sent", "words"),
    [
        (LOOPBACK, ["many"], "Loops needs a number"),
        (LOOPBACK, [0], "Loops must be 1 to 1000"),
        (LOOPBACK, [2, 0.5, "Steep"], "Denoising strength curve knows no 'Steep'"),
        (LOOPBACK, [2, float("nan")], "needs a number"),
        (SD_UPSCALE, ["", 8, "Imaginary"], "there are: None, Lanczos"),
        (SD_UPSCALE, ["", 8, 7], "must be 0 to 1"),
        (POOR_MANS_OUTPAINTING, [32, 4, 1, ["inwards"]], "knows no 'inwards'"),
        (POOR_MANS_OUTPAINTING, [32, 4, 1, 7], "needs a list"),
        (PLOT, [99], "X type must be"),
    ],
)
def test_a_refusal_names_the_argument(
    declaration: ScriptDeclaration, sent: list[JsonValue], words: str
) -> None:
    with pytest.raises(RequestError, match=words) as refusal:
        read_arguments(declaration, sent, {**UPSCALERS, "axes": ("Nothing", "Seed")})
    assert refusal.value.field == "script_args"
    assert str(refusal.value).startswith(declaration.title)


def test_a_text_of_any_length_is_not_taken() -> None:
    declaration = ScriptDeclaration("Any", ("txt2img",), (ScriptArgument("text", "Text", "text", ""),))
    with pytest.raises(RequestError, match="characters"):
        read_arguments(declaration, ["x" * 300_000], {})


def test_element_ids_are_a1111s() -> None:
    assert PLOT.element_id("txt2img", "x_type") == "script_txt2img_xyz_plot_x_type"
    assert LOOPBACK.element_id("img2img", "loops") == "script_loopback_loops"
    assert POOR_MANS_OUTPAINTING.element_id("img2img", "pixels") == "script_poor_mans_outpainting_pixels"
    assert LOOPBACK.element_id("inpaint", "loops") == "script_inpaint_loopback_loops"


@pytest.mark.parametrize(
    "text",
    [
        "a cat\nSteps: 3, Seed: 11, RNG: CPU, Version: 1.10.1",
        "a, Version: 2 cat\nSteps: 3, Seed: 11, RNG: CPU",
    ],
)
def test_parameters_are_added_in_front_of_the_version(text: str) -> None:
    added = with_parameters(text, {"Script": "X/Y/Z plot", "X Values": "3,7"})
    read = parse_infotext(added)
    assert (read["Script"], read["X Values"], read["RNG"]) == ("X/Y/Z plot", "3,7", "CPU")
    assert ("Version" in read) == ("Version: 1" in text)
    assert added.endswith(("Version: 1.10.1", 'X Values: "3,7"'))
