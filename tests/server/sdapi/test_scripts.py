"""Scripts over the HTTP API: which there are, what they take, and how mistakes are answered."""

from pathlib import Path
from typing import Any

import pytest

from modules.domain.plot_axes import axes_of
from tests.server.studio import Studio, open_studio

TXT2IMG, IMG2IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
BASE = {"prompt": "a cat", "steps": 1, "width": 64, "height": 64}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
EVERYWHERE = ["prompt matrix", "prompts from file or textbox", "x/y/z plot"]
PICTURES = [
    "img2img alternative test",
    "loopback",
    "outpainting mk2",
    "poor man's outpainting",
    "sd upscale",
]


def refusal(studio: Studio, route: str, **body: object) -> str:
    answer = studio.post(route, {**BASE, **body})
    assert answer.status_code == 422, answer.text
    return str(answer.json()["detail"])


def test_scripts_are_listed_by_tab_in_lower_case(standing: Studio) -> None:
    listed = standing.get("/sdapi/v1/scripts").json()
    assert listed["txt2img"][:3] == EVERYWHERE
    assert sorted(listed["img2img"][:8]) == sorted(EVERYWHERE + PICTURES)


def test_script_info_describes_every_argument(standing: Studio) -> None:
    infos = standing.get("/sdapi/v1/script-info").json()
    by_name: dict[tuple[str, bool], dict[str, Any]] = {(one["name"], one["is_img2img"]): one for one in infos}
    plot = by_name["x/y/z plot", False]
    assert not plot["is_alwayson"]
    assert len(plot["args"]) == 18
    assert plot["args"][0]["choices"] == [axis.label for axis in axes_of("txt2img")]
    assert plot["args"][0]["value"] == "Seed"
    assert plot["args"][16] == {
        "label": "Grid margins (px)", "value": 0, "minimum": 0, "maximum": 500, "step": 2, "choices": None,
    }  # fmt: skip
    upscale = by_name["sd upscale", True]
    assert upscale["args"][0]["label"] is None
    assert upscale["args"][2]["choices"][:3] == ["None", "Lanczos", "Nearest"]
    assert upscale["args"][2]["value"] == "None"
    assert ("loopback", False) not in by_name


@pytest.mark.parametrize("name", ["X/Y/Z plot", "x/y/z PLOT", "prompt matrix"])
def test_a_script_is_named_in_any_case(standing: Studio, name: str) -> None:
    assert standing.post(TXT2IMG, {**BASE, "script_name": name, "script_args": []}).status_code == 200


@pytest.mark.parametrize(
    ("route", "name"), [(TXT2IMG, "dream on"), (TXT2IMG, "loopback"), (IMG2IMG, "custom code")]
)
def test_a_script_that_a_tab_does_not_have_is_refused_in_a1111s_words(
    standing: Studio, route: str, name: str
) -> None:
    words = refusal(standing, route, script_name=name, init_images=[PIXEL])
    assert words == f"Script '{name}' not found"


BUILT_IN = ("Comments", "Extra options", "Hypertile", "Refiner", "Sampler", "Seed")


def test_a1111s_own_always_on_scripts_are_listed_and_taken(standing: Studio) -> None:
    names = {title.lower() for title in BUILT_IN}
    listed = standing.get("/sdapi/v1/scripts").json()
    assert all(names <= set(titles) for titles in listed.values())
    infos = standing.get("/sdapi/v1/script-info").json()
    assert {info["name"] for info in infos if info["is_alwayson"] and not info["is_img2img"]} == names
    dump: dict[str, Any] = {title: {"args": []} for title in (*BUILT_IN, "API payload", "HYPERTILE")}
    assert standing.post(TXT2IMG, {**BASE, "alwayson_scripts": dump}).status_code == 200
    assert "ADetailer" in refusal(standing, TXT2IMG, alwayson_scripts={**dump, "ADetailer": {"args": []}})


def test_a_selectable_script_is_no_always_on_script(standing: Studio) -> None:
    words = refusal(standing, TXT2IMG, alwayson_scripts={"X/Y/Z plot": {"args": []}})
    assert words == "Cannot have a selectable script in the always on scripts params"


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("loopback", ["many"], "Loops needs a number"),
        ("sd upscale", ["", 8, "Imaginary", 2.0], "Upscaler knows no 'Imaginary'"),
        ("outpainting mk2", ["", 8, 8, "inwards"], "Outpainting direction knows no 'inwards'"),
        ("x/y/z plot", [99], "X type must be 0 to"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_before_it_waits(
    standing: Studio, name: str, arguments: list[object], words: str
) -> None:
    assert words in refusal(standing, IMG2IMG, init_images=[PIXEL], script_name=name, script_args=arguments)
    assert standing.services.jobs.active() == ()


def test_arguments_of_the_wrong_shape_are_refused(standing: Studio) -> None:
    assert (
        standing.post(TXT2IMG, {**BASE, "script_name": "prompt matrix", "script_args": 7}).status_code == 422
    )
    assert standing.post(TXT2IMG, {**BASE, "script_name": 7}).status_code == 422


def test_our_own_api_takes_scripts_too(tmp_path: Path) -> None:
    body = {"prompt": "a|b", "steps": 1, "width": 64, "height": 64, "script_name": "Prompt matrix"}
    ann = ("ann", "ann password")
    with open_studio(tmp_path, basic=dict([ann])) as studio:
        answer = studio.post("/api/v1/jobs", body, auth=ann)
        assert answer.is_success, answer.text
        answer = studio.post("/api/v1/jobs", {**body, "script_name": "dream on"}, auth=ann)
        assert (answer.status_code, "not found" in answer.text) == (422, True)
