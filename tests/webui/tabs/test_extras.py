"""What the tab Extras makes of its form."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import unquote

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from modules.domain.extras import ExtrasRequest, SplitOversized
from modules.domain.principal import Principal
from modules.exceptions import JobInterrupted, NotFoundError
from modules.generation.postprocess import Postprocessed, Postprocessor
from modules.imaging.metadata import encode_image
from modules.services import Services
from modules.webui.form.form import Form
from modules.webui.form.mask_canvas import PictureReader
from modules.webui.page import upload_folder
from modules.webui.tabs.extras_events import ExtrasEvents
from modules.webui.tabs.extras_form import (
    extras_request,
    extras_sources,
    operation_controls,
    upscale_controls,
)

INFOTEXT = "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7.0, Seed: 1"


def visitor(*, admin: bool = True) -> gr.Request:
    scope = {"state": {"principal": Principal("ann", "admin" if admin else "artist")}}
    return cast("gr.Request", SimpleNamespace(username="ann", request=SimpleNamespace(scope=scope)))


def picture(colour: str = "teal", size: tuple[int, int] = (16, 8)) -> bytes:
    return encode_image(Image.new("RGB", size, colour), "png", INFOTEXT)


@dataclass
class Tab:
    services: Services
    form: Form
    events: ExtrasEvents
    uploads: Path

    def values(self, **changes: object) -> dict[str, object]:
        """The form as it is at first, but for some controls."""
        first = {key: self.form[key].value for key in self.form.keys}
        assert changes.keys() <= first.keys()
        return {**first, **changes}

    def upload(self, name: str, content: bytes) -> str:
        path = self.uploads / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path)

    def start(self, admin: bool = True, /, **changes: object) -> Iterator[tuple[object, str]]:
        return self.events.run(visitor(admin=admin), *self.values(**changes).values())

    def run(self, admin: bool = True, /, **changes: object) -> tuple[list[Path], str]:
        """Files in the gallery, and what is said, at the end."""
        shown, said = list(self.start(admin, **changes))[-1]
        paths = re.findall(r'href="gradio_api/file=([^"]+)" download', str(shown))
        return [Path(unquote(path)) for path in paths], said

    def saved(self, below: str = "extras-images") -> list[Path]:
        return sorted((self.services.options.folders.outputs / below).rglob("*.png"))


@cache
def extras_form(*upscalers: str) -> Form:
    form = Form("extras")
    with gr.Blocks():
        extras_sources(form)
        upscale_controls(form, list(upscalers))
        operation_controls(form)
    return form


@pytest.fixture
def tab(services: Services) -> Tab:
    form = extras_form(*services.upscalers)
    uploads = upload_folder(services)

    def by_id(identifier: str, owner: str) -> bytes:
        if (identifier, owner) != ("mine", "ann"):
            raise NotFoundError("image", "there is no such picture")
        return picture()

    return Tab(services, form, ExtrasEvents(services, form, PictureReader(uploads, by_id), uploads), uploads)


def test_the_form_starts_as_a1111s(tab: Tab) -> None:
    asked = extras_request(tab.values())
    assert asked == ExtrasRequest.model_validate({"upscaling": {"by": 4}})


def test_parts_that_are_closed_do_nothing(tab: Tab) -> None:
    changes = {"split_threshold": 0.25, "gfpgan_visibility": 0.5, "flip_kinds": ["Both"]}
    asked = extras_request(tab.values(**changes))
    assert (asked.split, asked.gfpgan_visibility, asked.flips) == (None, 0, ())
    asked = extras_request(tab.values(**changes, split=True, gfpgan=True, flips=True))
    assert (asked.split, asked.gfpgan_visibility) == (SplitOversized(threshold=0.25), 0.5)
    assert asked.flips == ("Both",)


def test_values_outside_their_limits_are_refused(tab: Tab) -> None:
    with pytest.raises(ValidationError):
        extras_request(tab.values(upscaling_resize=99))


def test_a_picture_of_a_job_is_enlarged_saved_and_shown_with_its_parameters(tab: Tab) -> None:
    shown, said = tab.run(image={"image": {"id": "mine"}}, upscaler_1="Lanczos", upscaling_resize=2)
    (saved,) = tab.saved()
    assert "Postprocess upscale by: 2.0" in said
    assert [path.read_bytes() for path in shown] == [saved.read_bytes()]
    with Image.open(saved) as opened:
        assert (opened.size, opened.info["parameters"]) == ((32, 16), INFOTEXT)
        assert opened.info["extras"] == opened.info["postprocessing"]


def test_what_is_shown_lies_where_nobody_can_guess(tab: Tab) -> None:
    (shown,), _ = tab.run(image={"image": {"id": "mine"}})
    assert shown.is_relative_to(tab.uploads)
    assert re.fullmatch(r"[\w-]{20,}", shown.parent.name)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Choose a picture first."),
        ({"image": {"image": {"id": "somebody's"}}}, "There is no such picture."),
        ({"source": "batch"}, "Choose the pictures of the batch first."),
        ({"source": "directory", "batch_input_dir": "../data"}, "must lie inside the outputs folder"),
        ({"source": "directory", "batch_input_dir": "nowhere"}, "no such folder"),
        ({"image": {"image": {"id": "mine"}}, "upscaler_1": "Dreams"}, "no upscaler &#x27;Dreams&#x27;"),
        ({"image": {"image": {"id": "mine"}}, "gfpgan": True}, "put GFPGANv1.4.pth into the folder"),
        ({"image": {"image": {"id": "mine"}}, "upscaling_resize": 99}, "Input should be less than"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    tab: Tab, changes: dict[str, object], sentence: str
) -> None:
    shown, said = tab.run(True, **changes)
    assert (shown, tab.saved()) == ([], [])
    assert 'role="alert"' in said
    assert sentence in said


def test_a_batch_keeps_names_and_leaves_out_what_is_no_picture(tab: Tab) -> None:
    files = [tab.upload(f"a/{name}.png", picture()) for name in ("one", "two")]
    files.insert(1, tab.upload("a/broken<b>.png", b"nothing"))
    shown, said = tab.run(source="batch", batch_files=files)
    assert [path.name for path in shown] == ["one-0000.png", "two-0000.png"]
    assert "broken&lt;b&gt;" in said
    assert "<b>" not in said


def test_a_folder_of_the_server_is_the_administrators(tab: Tab) -> None:
    source = tab.services.options.folders.outputs / "mine"
    source.mkdir(parents=True)
    (source / "one.png").write_bytes(picture())
    changes: dict[str, object] = {
        "source": "directory",
        "batch_input_dir": "mine",
        "batch_output_dir": "larger",
    }
    _, said = tab.run(False, **changes)
    assert "belong to its administrator" in said
    shown, _ = tab.run(True, **changes, show_results=False)
    assert shown == []
    assert [path.name for path in tab.saved("larger")] == ["one-0000.png"]


def test_interrupting_keeps_what_is_finished(tab: Tab) -> None:
    files = [tab.upload(f"a/{number}.png", picture()) for number in range(3)]
    running = tab.start(source="batch", batch_files=files)
    assert [next(running) for _ in range(3)]  # the first is done, the second announced
    tab.events.interrupt(visitor())
    shown, said = list(running)[-1]
    assert str(shown).count("<img") == len(tab.saved())
    assert "Stopped" in said
    assert len(tab.saved()) < 3


def test_skipping_goes_on_with_the_next_picture(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tab.upload(f"a/{number}.png", picture()) for number in range(3)]
    calls: list[bool] = []
    run = Postprocessor.run

    def watched(self: Postprocessor, image: Image.Image, *args: object, **options: object) -> Postprocessed:
        calls.append(True)
        if len(calls) == 2:
            tab.events.skip(visitor())
            assert options["stop"]()  # type: ignore[operator]
            raise JobInterrupted("stopped")
        assert np.asarray(image).size
        return run(self, image, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Postprocessor, "run", watched)
    shown, _ = tab.run(source="batch", batch_files=files)
    assert [path.name for path in shown] == ["0-0000.png", "2-0000.png"]
