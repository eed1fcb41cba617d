"""The picture that a tab starts from is described; its words become the prompt."""

from collections.abc import Callable

import gradio as gr
import pytest
from PIL import Image

from modules.exceptions import NotFoundError
from modules.services import Services
from modules.settings.options import Settings
from modules.webui.inside import component_with_id
from modules.webui.page import build_page
from tests.webui.events.test_generation_events import Page, uploaded, visitor


class Seer:
    """Describes a picture by its size."""

    def describe(self, image: Image.Image, method: str, settings: Settings) -> str:
        assert settings.interrogate_clip_min_length > 0
        if method == "deepbooru":
            raise NotFoundError("model", "Put a tagging model into models/deepdanbooru.")
        return f"{image.width} by {image.height}"


def handler(services: Services, button: str) -> Callable[..., tuple[str, str]]:
    page = build_page(services)
    target = component_with_id(page, button)._id
    (found,) = (function.fn for function in page.fns.values() if (target, "click") in function.targets)
    assert found is not None
    return found


@pytest.fixture
def seen(services: Services) -> Services:
    services.interrogator = Seer()  # type: ignore[assignment, misc]
    return services


def test_the_picture_of_the_open_mode_is_described(seen: Services) -> None:
    page = Page(seen)
    tab, picture = page.img2img, {"image": uploaded(page, (48, 32))}
    others = [mode.field for mode in tab.modes[1:] if mode.field in tab.form]
    empty = [None] * len(set(others))
    words, _ = handler(seen, "img2img_interrogate")(visitor("ann"), "img2img", picture, *empty)
    assert words == "48 by 32"


def test_nothing_to_describe_is_said(seen: Services) -> None:
    with pytest.raises(gr.Error, match="Put a picture here first"):
        handler(seen, "inpaint_interrogate")(visitor("ann"), None)
