from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.blocks import BlockFunction  # type: ignore[attr-defined]  # imported there, not exported
from hypothesis import given
from hypothesis import strategies as st

from modules.services import Services
from modules.webui.tabs.history import changed_values
from tests.history.made import infotext_of, write_picture

VALUES = st.dictionaries(
    st.sampled_from(["steps", "cfg_scale", "seed", "sampling"]), st.integers(1, 9), min_size=4, max_size=4
)
TEXTS = st.text(alphabet="ab, ", max_size=10)


def handler(page: gr.Blocks, event: str) -> BlockFunction:
    """The function behind an event of the history."""
    (found,) = (
        function for function in page.fns.values() if any(name == event for _, name in function.targets)
    )
    return found


def call(page: gr.Blocks, event: str, *sent: object) -> list[Any]:
    """What the function behind an event of the history answers."""
    function = handler(page, event).fn
    assert function is not None
    return list(function(*sent))


def request(user: str = "ann") -> gr.Request:
    made = gr.Request(username=user)
    made.request = None  # never asked for more than the name
    return made


@pytest.fixture(scope="module")
def standing(standing: Services) -> Services:
    """With two pictures of ann's."""
    outputs = standing.options.folders.outputs
    for number, text in enumerate(
        (
            infotext_of("a red apple, on a table", Steps=20, Seed=5),
            infotext_of("a green apple, on a table, rim light", "blurry", Steps=30, Seed=5),
        )
    ):
        path = write_picture(outputs / f"{number}.png", text, number)
        standing.history.add(path, "ann", text, id=f"id{number}")
    return standing


@pytest.fixture
def page(standing_page: gr.Blocks) -> gr.Blocks:
    return standing_page


def changes(page: gr.Blocks, event: str, outputs: list[object]) -> dict[str, object]:
    """New values by the element ids of the components."""
    function = handler(page, event)
    return {
        str(component.elem_id): value["value"]
        for component, value in zip(function.outputs, outputs, strict=True)
        if isinstance(value, dict) and "value" in value
    }


def test_a_picture_is_sent_with_its_parameters(page: gr.Blocks) -> None:
    sent = call(page, "send_txt2img", {"selected": "id1"}, request())
    changed = changes(page, "send_txt2img", sent)
    assert changed["txt2img_prompt"] == "a green apple, on a table, rim light"
    assert changed["txt2img_steps"] == 30
    assert sent[-1].selected == "txt2img"


def test_a_picture_is_sent_to_tabs_that_start_from_one(page: gr.Blocks) -> None:
    sent = call(page, "send_img2img", {"selected": "id1"}, request())
    assert changes(page, "send_img2img", sent)["img2img_image"]["image"]["id"] == "id1"  # type: ignore[index]
    picture, tabs = call(page, "send_extras", {"selected": "id1"}, request())
    assert (picture["image"]["id"], tabs.selected) == ("id1", "extras")


@pytest.mark.parametrize("event", ["send_txt2img", "send_img2img", "send_extras"])
def test_nobody_takes_anothers_picture(page: gr.Blocks, event: str) -> None:
    for picture in ("id1", "unknown", None, 7):
        with pytest.raises(gr.Error):
            call(page, event, {"selected": picture}, request("bob"))


def test_a_difference_changes_the_form_as_far_as_the_pictures_differ(page: gr.Blocks) -> None:
    payload = {"first": "id0", "second": "id1"}
    done = call(page, "apply_txt2img", payload, "photo of a red apple in snow", "ugly", request())
    changed = changes(page, "apply_txt2img", done)
    assert changed["txt2img_prompt"] == "photo of a green apple in snow, rim light"
    assert changed["txt2img_neg_prompt"] == "ugly, blurry"
    assert changed["txt2img_steps"] == 30
    assert {"txt2img_seed", "txt2img_cfg_scale", "txt2img_sampling"} & set(changed) == set()
    assert done[-1].selected == "txt2img"


@pytest.mark.parametrize("payload", [None, {}, {"first": "id0"}, {"first": ["id0"], "second": "id1"}])
def test_a_difference_of_nothing_is_refused(page: gr.Blocks, payload: object) -> None:
    with pytest.raises(gr.Error):
        call(page, "apply_txt2img", payload, "a", "b", request())


def test_nobody_applies_the_difference_of_anothers_pictures(page: gr.Blocks) -> None:
    with pytest.raises(gr.Error):
        call(page, "apply_txt2img", {"first": "id0", "second": "id1"}, "a", "b", request("bob"))


@given(VALUES, VALUES, TEXTS, TEXTS)
def test_applied_to_the_first_picture_a_difference_gives_the_second(
    first: dict[str, object], second: dict[str, object], prompt: str, other: str
) -> None:
    before, after = {**first, "prompt": prompt}, {**second, "prompt": other}
    assert {**before, **changed_values(before, after, {"prompt": prompt})} == after


def test_what_the_extras_save_is_in_the_history_with_its_source(services: Services, tmp_path: Path) -> None:
    outputs = services.options.folders.outputs
    text = infotext_of("a red apple")
    first = write_picture(outputs / "1.png", text, 1)
    services.history.add(first, "ann", text, id="first")
    larger = write_picture(outputs / "extras-images" / "2.png", text, 2)
    elsewhere = write_picture(tmp_path / "elsewhere" / "3.png", text, 3)
    services.history.keep([larger, elsewhere], "ann", "", source=first.read_bytes())
    picture = services.history.index.picture("first", "ann")
    (child,) = services.history.index.children(picture)
    assert (child.name, child.kind, child.infotext) == ("2.png", "extras", text)
