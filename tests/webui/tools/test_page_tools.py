import gradio as gr
import pytest

from modules.domain.styles import Style
from modules.services import Services
from modules.webui.inside import inside
from modules.webui.page import build_page

TABS = ("txt2img", "img2img", "inpaint")


@pytest.fixture
def page(standing_page: gr.Blocks) -> gr.Blocks:
    return standing_page


def parts(page: gr.Blocks) -> dict[str, gr.blocks.Block]:
    return {str(block.elem_id): block for block in page.blocks.values() if getattr(block, "elem_id", None)}


def test_every_tab_has_its_tools(page: gr.Blocks) -> None:
    names = ("undo", "redo", "queue", "styles_edit_button", "extra_tabs", "token_counter", "show_job")
    assert {f"{tab}_{name}" for tab in TABS for name in names} - set(parts(page)) == set()


def test_forms_are_remembered_without_asking_the_server(page: gr.Blocks) -> None:
    scripts = [function for function in page.fns.values() if "studio.form" in str(function.js)]
    assert len(scripts) == 6 * len(TABS)  # begin, changed, written, undo, redo, reset
    assert all(function.fn is None for function in scripts)
    assert {function.api_visibility for function in scripts} == {"private"}


def test_pictures_are_not_remembered(page: gr.Blocks) -> None:
    (begin,) = (function for function in page.fns.values() if "form.begin('inpaint'" in str(function.js))
    assert not [block for block in begin.outputs if "picture-field" in (block.elem_classes or [])]


def test_the_row_of_further_quick_settings_shows_only_with_some(page: gr.Blocks, services: Services) -> None:
    assert parts(page)["quicksettings_more"].visible is False
    services.settings.update({"quicksettings_list": ["tiling"]})
    page = build_page(services)
    assert parts(page)["quicksettings_more"].visible is True
    assert "setting_tiling" in parts(page)


def test_saved_styles_appear_in_all_lists(services: Services) -> None:
    page = build_page(services)
    services.styles.save(Style("oil", "oil painting"))
    button = parts(page)["styles_changed"]
    (read,) = (
        function.fn
        for function in page.fns.values()
        if any(block == button._id for block, _ in function.targets)
    )
    assert read is not None
    updates = read()
    assert [update.choices for update in updates] == [[("oil", "oil")]] * len(TABS)


def test_parts_that_do_not_exist_are_an_error_at_once() -> None:
    with gr.Blocks() as page:
        with gr.Column(elem_id="here"):
            gr.Button("first")
        with inside(page, "here"):
            gr.Button("second")
        with pytest.raises(LookupError), inside(page, "not here"):
            pass
        gr.Button("third")
    column = parts(page)["here"]
    assert [getattr(child, "value", "") for child in column.children] == ["first", "second"]  # type: ignore[attr-defined]
    assert column.parent is page
