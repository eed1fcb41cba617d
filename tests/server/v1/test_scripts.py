"""The scripts of a form: every argument in its place, with what may be chosen now."""

from typing import Any

import pytest

from modules.domain.script import read_arguments
from modules.generation.scripts.choices import script_choices
from modules.services import catalogs_of
from tests.server.studio import Studio
from tests.server.v1.test_settings import caller


def asked(studio: Studio, tab: str) -> dict[str, Any]:
    answer: dict[str, Any] = studio.get(f"/api/v1/scripts/{tab}", headers=caller(studio, "artist")).json()
    return answer


@pytest.mark.parametrize(
    ("tab", "kind"), [("txt2img", "txt2img"), ("img2img", "img2img"), ("inpaint", "img2img")]
)
def test_what_is_shown_untouched_means_the_defaults(standing: Studio, tab: str, kind: str) -> None:
    lists = script_choices(catalogs_of(standing.services), standing.services.settings.current, kind)
    shown = {one["title"]: one for one in asked(standing, tab)["scripts"]}
    declarations = standing.services.plugins.scripts.declarations(kind)
    assert list(shown) == [one.title for one in declarations]
    for declaration in declarations:
        sent = [argument.get("default") for argument in shown[declaration.title]["arguments"]]
        assert read_arguments(declaration, sent, lists) == read_arguments(declaration, [], lists)


def test_element_ids_are_those_that_a1111s_users_know(standing: Studio) -> None:
    def ids(tab: str) -> set[str]:
        scripts = asked(standing, tab)["scripts"]
        return {part["id"] for script in scripts for part in [*script["arguments"], *script.get("swaps", [])]}

    assert {
        "script_txt2img_xyz_plot_x_type",
        "script_txt2img_xyz_plot_xy_grid_swap_axes_button",
        "script_txt2img_prompt_matrix_margin_size",
    } <= ids("txt2img")
    assert "script_loopback_loops" in ids("img2img")


def test_axes_with_names_tell_what_there_is(standing: Studio) -> None:
    axes = asked(standing, "txt2img")["axes"]
    assert "Euler a" in axes["Sampler"]
    assert "Steps" not in axes


def test_an_unknown_tab_is_refused(standing: Studio) -> None:
    assert "detail" in asked(standing, "extras")
