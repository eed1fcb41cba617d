import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from modules.domain.job import JobState
from modules.domain.request import GenerationRequest
from modules.services import Services
from modules.webui.events.generation_events import GenerationEvents
from modules.webui.form.choices import FormChoices, read_choices
from modules.webui.form.mask_canvas import PNG_PREFIX
from modules.webui.form.quick_settings import quick_settings
from modules.webui.page import upload_folder
from modules.webui.tab import GenerationTab
from modules.webui.tabs.img2img import img2img_tab
from modules.webui.tabs.inpaint import inpaint_tab
from modules.webui.tabs.txt2img import txt2img_tab

Tabs = tuple[GenerationTab, GenerationTab, GenerationTab]
_built: dict[str, Tabs] = {}


def tabs_of(choices: FormChoices) -> Tabs:
    """The three tabs; with the same choices they are the same, so they are built once."""
    known = repr(choices)
    if known not in _built:
        with gr.Blocks():
            quick = quick_settings(choices)
            _built[known] = (
                txt2img_tab(choices, quick), img2img_tab(choices, quick), inpaint_tab(choices, quick)
            )  # fmt: skip
    return _built[known]


class Page:
    """The three tabs over some services, driven as Gradio would drive them."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.uploads = upload_folder(services)
        self.uploads.mkdir(parents=True, exist_ok=True)
        self.events = GenerationEvents(services, self.uploads)
        self.txt2img, self.img2img, self.inpaint = tabs_of(read_choices(services))

    def sent(self, tab: GenerationTab, **changes: object) -> list[object]:
        small: dict[str, object] = {"width": 64, "height": 64, "steps": 3, "seed": 5}
        values = {key: getattr(tab.form[key], "value", None) for key in tab.form.keys}
        return list((values | {key: small[key] for key in small} | changes).values())

    def generate(self, tab: GenerationTab, user: str = "ann", **changes: object) -> list[dict[str, object]]:
        relay = self.events.generate(tab)(visitor(user), *self.sent(tab, **changes))
        return collected(relay)

    def filled(self, tab: GenerationTab, outputs: list[object]) -> dict[str, object]:
        shown = zip(tab.form.keys, outputs, strict=False)
        return {
            key: update["value"] for key, update in shown if isinstance(update, dict) and "value" in update
        }


def visitor(user: str) -> gr.Request:
    return cast("gr.Request", SimpleNamespace(username=user, request=None))


def collected(relay: AsyncIterator[dict[str, object]]) -> list[dict[str, object]]:
    async def read() -> list[dict[str, object]]:
        return [frame async for frame in relay]

    return asyncio.run(read())


def shown(frames: list[dict[str, object]]) -> dict[str, object]:
    """What the page sends back of its last frame: with the first picture selected."""
    images = cast("list[dict[str, object]]", frames[-1]["images"])
    return frames[-1] | {"selected": images[0]["id"]}


def uploaded(page: Page, size: tuple[int, int] = (64, 64)) -> dict[str, object]:
    path = page.uploads / "in.png"
    Image.new("RGB", size, (10, 20, 30)).save(path)
    return {"path": str(path)}


def mask(size: tuple[int, int] = (64, 64)) -> str:
    out = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0], 4), 255, np.uint8)).save(out, "PNG")
    return PNG_PREFIX + base64.b64encode(out.getvalue()).decode()


@pytest.fixture
def page(painted: Services) -> Page:
    return Page(painted)


def test_generate_follows_the_job_to_its_picture(page: Page) -> None:
    frames = page.generate(page.txt2img, prompt="a red apple")
    assert frames[-1]["state"] == "done"
    assert "a red apple" in cast("list[dict[str, str]]", frames[-1]["images"])[0]["infotext"]


def test_the_request_is_frozen_with_the_settings_of_the_page(page: Page) -> None:
    frames = page.generate(page.txt2img, setting_CLIP_stop_at_last_layers=2, setting_sd_vae="None")
    request = page.services.jobs.request(str(frames[-1]["job"]))
    assert request.override_settings["CLIP_stop_at_last_layers"] == 2
    assert request.override_settings["sd_vae"] == "None"
    assert request.checkpoint == page.services.catalog.checkpoints()[0].title


def test_a_refused_form_is_one_sentence_beside_its_control(page: Page) -> None:
    frames = page.generate(page.txt2img, width=0)
    assert len(frames) == 1
    error = cast("dict[str, str]", frames[0]["error"])
    assert error["field"] == "txt2img_width"
    assert "Width" in error["text"]
    assert page.services.jobs.active("ann") == ()


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"setting_sd_model_checkpoint": "gone"}, "setting_sd_model_checkpoint"),
        ({"sampling": "Magic"}, "txt2img_sampling"),
        ({"hr": True, "hr_upscaler": "Magic"}, "txt2img_hr_upscaler"),
    ],
)
def test_what_the_server_does_not_have_is_told_beside_its_control(
    page: Page, changes: dict[str, object], element: str
) -> None:
    relay = page.events.generate(page.txt2img)(visitor("ann"), *page.sent(page.txt2img, **changes))
    error = cast("dict[str, str]", collected(relay)[0]["error"])
    assert error["field"] == element
    assert page.services.jobs.active("ann") == ()


def test_after_a_refusal_the_next_job_is_fine(page: Page) -> None:
    page.generate(page.txt2img, steps=-1)
    assert page.generate(page.txt2img)[-1]["state"] == "done"


def test_img2img_without_a_picture_asks_for_one(page: Page) -> None:
    error = cast("dict[str, str]", page.generate(page.img2img)[0]["error"])
    assert error["field"] == "img2img_image"


def test_inpaint_without_a_mask_asks_for_one(page: Page) -> None:
    frames = page.generate(page.inpaint, image={"image": uploaded(page)})
    assert "Paint" in cast("dict[str, str]", frames[0]["error"])["text"]


def test_inpaint_hands_picture_and_mask_over(page: Page) -> None:
    frames = page.generate(page.inpaint, image={"image": uploaded(page), "mask": mask()})
    start = page.services.jobs.request(str(frames[-1]["job"])).image_to_image
    assert start is not None
    assert start.mask is not None
    with Image.open(io.BytesIO(page.services.blobs.get(start.mask))) as found:
        assert found.size == (64, 64)
        assert found.getextrema() == (255, 255)


def test_a_mask_of_another_size_is_one_sentence(page: Page) -> None:
    frames = page.generate(page.inpaint, image={"image": uploaded(page), "mask": mask((32, 32))})
    error = cast("dict[str, str]", frames[0]["error"])
    assert "32x32" in error["text"]
    assert error["field"] == "inpaint_image"


def test_a_fresh_page_finds_the_running_job_of_its_tab(page: Page) -> None:
    job_id = page.services.jobs.submit(GenerationRequest(width=64, height=64, steps=200), "ann")
    frames = collected(page.events.attach(page.txt2img)(visitor("ann")))
    assert {frame["job"] for frame in frames} == {job_id}
    assert frames[-1]["state"] == "done"


def test_a_fresh_page_shows_what_was_made_last_in_each_tab(page: Page) -> None:
    made = page.generate(page.txt2img)[-1]["job"]
    page.generate(page.inpaint, image={"image": uploaded(page), "mask": mask()})
    assert collected(page.events.attach(page.txt2img)(visitor("ann")))[-1]["job"] == made


def test_a_fresh_page_shows_nothing_of_others(page: Page) -> None:
    page.generate(page.txt2img, user="ann")
    assert "job" not in collected(page.events.attach(page.txt2img)(visitor("bob")))[0]


def test_interrupt_ends_the_job_that_is_shown(page: Page) -> None:
    job_id = page.services.jobs.submit(GenerationRequest(width=64, height=64, steps=1000), "ann")
    page.events.interrupt({"job": job_id}, visitor("ann"))
    assert page.services.jobs.wait(job_id, 10).state.is_final


def test_nobody_stops_a_job_of_somebody_else(page: Page) -> None:
    job_id = page.services.jobs.submit(GenerationRequest(width=64, height=64, steps=60), "ann")
    page.events.interrupt({"job": job_id}, visitor("bob"))
    ended = page.services.jobs.wait(job_id, 20)
    assert ended.state is JobState.DONE
    assert len(ended.images) == 1


def test_sending_fills_the_other_tab_with_picture_and_parameters(page: Page) -> None:
    payload = shown(page.generate(page.txt2img, prompt="a red apple", steps=7))
    outputs = page.events.send(page.img2img)(payload, visitor("ann"))
    filled = page.filled(page.img2img, outputs)
    assert (filled["prompt"], filled["steps"], filled["seed"], filled["width"]) == ("a red apple", 7, 5, 64)
    assert cast("dict[str, dict[str, str]]", filled["image"])["image"]["id"] == payload["selected"]
    assert filled["mode"] == "img2img"
    assert "denoising_strength" not in filled


def test_a_sent_picture_is_what_the_next_job_starts_from(page: Page) -> None:
    payload = shown(page.generate(page.txt2img))
    sent = page.filled(page.img2img, page.events.send(page.img2img)(payload, visitor("ann")))["image"]
    frames = page.generate(page.img2img, image=sent)
    start = page.services.jobs.request(str(frames[-1]["job"])).image_to_image
    assert start is not None
    source = page.services.jobs.image(str(payload["selected"]), "ann").image
    assert page.services.blobs.get(start.images[0]) == Path(source.path).read_bytes()


def test_a_picture_of_somebody_else_cannot_be_sent_or_used(page: Page) -> None:
    payload = shown(page.generate(page.txt2img, user="ann"))
    with pytest.raises(gr.Error):
        page.events.send(page.img2img)(payload, visitor("bob"))
    frames = page.generate(page.img2img, user="bob", image={"image": {"id": payload["selected"]}})
    assert "error" in frames[0]


def test_sending_leaves_seed_and_size_alone_when_the_settings_say_so(page: Page) -> None:
    page.services.settings.update({"send_seed": False, "send_size": False})
    payload = shown(page.generate(page.txt2img))
    filled = page.filled(page.img2img, page.events.send(page.img2img)(payload, visitor("ann")))
    assert not {"seed", "width", "height"} & filled.keys()


def test_paste_reads_the_prompt_or_the_last_picture(page: Page) -> None:
    paste = page.events.paste(page.txt2img)
    text = "a cat\nSteps: 31, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"
    assert page.filled(page.txt2img, paste(text, visitor("ann")))["steps"] == 31
    with pytest.raises(gr.Error, match="nothing was made"):
        paste("  ", visitor("ann"))
    page.generate(page.txt2img, prompt="a dog", steps=9)
    assert page.filled(page.txt2img, paste("", visitor("ann")))["steps"] == 9


def test_embeddings_of_pasted_parameters_that_are_not_here_are_named(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("modules.webui.events.generation_events.gr.Warning", told.append)
    text = 'a gone cat\nSteps: 3, Sampler: Euler, Seed: 1, Size: 64x64, TI hashes: "gone: 1234567890ab"'
    page.events.paste(page.txt2img)(text, visitor("ann"))
    (sentence,) = told
    assert "gone" in sentence


def test_a_pasted_number_beyond_the_slider_stretches_it(page: Page) -> None:
    text = "a cat\nSteps: 400, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"
    outputs = page.events.paste(page.txt2img)(text, visitor("ann"))
    steps = outputs[page.txt2img.form.keys.index("steps")]
    assert isinstance(steps, dict)
    assert (steps["value"], steps["maximum"]) == (400, 400)


def test_a_dropped_picture_fills_the_form_with_its_parameters(page: Page) -> None:
    payload = shown(page.generate(page.txt2img, prompt="a red apple", steps=6))
    path = page.services.jobs.image(str(payload["selected"]), "ann").image.path
    filled = page.filled(page.txt2img, page.events.drop(page.txt2img)(path))
    assert (filled["prompt"], filled["steps"], filled["seed"]) == ("a red apple", 6, 5)


def test_styles_are_written_into_the_prompts(page: Page) -> None:
    (page.services.options.folders.data.parent / "styles.csv").write_text(
        'name,prompt,negative_prompt\nsoft,"{prompt}, soft light",hard\n', encoding="utf-8"
    )
    page.services.styles.reload()
    assert page.events.apply_styles("a cat", "", ["soft"])[:3] == ("a cat, soft light", "hard", [])
