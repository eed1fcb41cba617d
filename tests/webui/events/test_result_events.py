import csv
import zipfile
from pathlib import Path
from typing import cast

import gradio as gr
import pytest

from modules.domain.request import GenerationRequest, Hires
from modules.services import Services
from modules.webui.events.result_events import ResultEvents
from tests.webui.events.test_generation_events import Page, collected, mask, shown, uploaded, visitor


@pytest.fixture
def page(painted: Services) -> Page:
    return Page(painted)


@pytest.fixture
def opened() -> list[Path]:
    return []


@pytest.fixture
def results(page: Page, opened: list[Path]) -> ResultEvents:
    return ResultEvents(page.services, page.events.submitter, page.uploads, opened.append)


def test_saving_keeps_picture_parameters_and_a_line_of_the_log(page: Page, results: ResultEvents) -> None:
    payload = shown(page.generate(page.txt2img, prompt="a red, round apple", steps=4))
    results.save(payload, visitor("ann"))
    folder = page.services.options.folders.outputs / "log" / "images"
    saved = list(folder.glob("*.png"))
    assert len(saved) == 1
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["prompt"], line["seed"], line["filename"]) for line in lines] == [
        ("a red, round apple", "5", saved[0].name)
    ]


def test_all_pictures_are_saved_when_the_settings_say_so(page: Page, results: ResultEvents) -> None:
    page.services.settings.update({"save_selected_only": False, "save_write_log_csv": False})
    results.save(shown(page.generate(page.txt2img, batch_count=3)), visitor("ann"))
    folder = page.services.options.folders.outputs / "log" / "images"
    assert len(list(folder.iterdir())) == 3


def test_an_archive_holds_all_pictures_byte_for_byte(page: Page, results: ResultEvents) -> None:
    payload = shown(page.generate(page.txt2img, batch_count=2))
    path = Path(results.archive(payload, visitor("ann")))
    assert path.is_relative_to(page.uploads)
    images = cast("list[dict[str, str]]", payload["images"])
    files = [Path(page.services.jobs.image(image["id"], "ann").image.path) for image in images]
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            file.name: file.read_bytes() for file in files
        }


def test_nobody_saves_or_packs_pictures_of_somebody_else(page: Page, results: ResultEvents) -> None:
    payload = shown(page.generate(page.txt2img))
    for action in (results.save, results.archive, results.open_folder):
        with pytest.raises(gr.Error):
            action(payload, visitor("bob"))


def test_without_a_picture_the_buttons_say_so(results: ResultEvents) -> None:
    for action in (results.save, results.archive):
        with pytest.raises(gr.Error, match="no picture yet"):
            action({"images": []}, visitor("ann"))


def test_upscaling_makes_the_selected_picture_again_with_hires_fix(page: Page, results: ResultEvents) -> None:
    payload = shown(page.generate(page.txt2img, prompt="a hut", batch_count=2, cfg_scale=4))
    images = cast("list[dict[str, str]]", payload["images"])
    payload["selected"] = images[1]["id"]
    sent = page.sent(page.txt2img, prompt="typed meanwhile", hr_scale=1.5, denoising_strength=0.3, seed=99)
    frames = collected(results.upscale(page.txt2img)(payload, visitor("ann"), *sent))
    request = page.services.jobs.request(str(frames[-1]["job"]))
    assert (request.prompt, request.cfg_scale, request.image_count) == ("a hut", 4, 1)
    assert str(request.seed) == images[1]["seed"]
    assert request.hires == Hires(scale=1.5, denoising_strength=0.3)
    assert request.origins == (page.services.history.index.picture(images[1]["id"], "ann").digest,)
    refused = collected(results.upscale(page.txt2img)(shown(frames), visitor("ann"), *sent))
    assert "large already" in cast("dict[str, str]", refused[-1]["error"])["text"]


def test_only_who_sits_at_the_machine_opens_its_folders(
    page: Page, results: ResultEvents, opened: list[Path]
) -> None:
    payload = shown(page.generate(page.txt2img, user=""))
    results.open_folder(payload, visitor(""))
    assert opened == [page.services.options.folders.outputs]
    with pytest.raises(gr.Error, match="own screen"):
        results.open_folder(shown(page.generate(page.txt2img, user="ann")), visitor("ann"))


def test_a_job_is_found_again_in_the_tab_it_came_from(page: Page) -> None:
    drawn = {"image": uploaded(page), "mask": mask()}
    made = page.generate(page.img2img, masked=drawn, mode="Inpaint")[-1]["job"]
    assert collected(page.events.attach(page.img2img)(visitor("ann")))[-1]["job"] == made
    assert "job" not in collected(page.events.attach(page.inpaint)(visitor("ann")))[0]


def test_resize_by_takes_the_size_from_the_picture(page: Page) -> None:
    picture = {"image": uploaded(page, (100, 60))}
    frames = page.generate(page.img2img, image=picture, resize_tab="by", scale=1.5)
    request = page.services.jobs.request(str(frames[-1]["job"]))
    assert (request.width, request.height) == (144, 88)


def test_a_batch_is_one_job_a_file_with_one_seed(page: Page) -> None:
    paths = []
    for name in ("a", "b"):
        paths.append(str(page.uploads / f"{name}.png"))
        Path(paths[-1]).write_bytes(Path(uploaded(page)["path"]).read_bytes())  # type: ignore[arg-type]
    paths.append(str(page.uploads / "broken.png"))
    Path(paths[-1]).write_bytes(b"no picture")
    frames = page.generate(page.img2img, mode="Batch", batch_files=paths, seed=-1)
    jobs = page.services.jobs.recent("ann", 10)
    assert len(jobs) == 2
    assert len({page.services.jobs.request(view.id).seed for view in jobs}) == 1
    assert len(cast("list[object]", frames[-1]["images"])) == 2


def test_interrupting_a_batch_stops_what_is_left_of_it(services: Services) -> None:
    page, jobs = Page(services), services.jobs
    ids = [jobs.submit(GenerationRequest(width=64, height=64), "ann") for _ in range(4)]
    page.events.interrupt({"job": ids[0], "batch": ids[1:3]}, visitor("bob"))
    assert len(jobs.active("ann")) == 4
    page.events.interrupt({"job": ids[0], "batch": ids[1:3]}, visitor("ann"))
    assert [view.id for view in jobs.active("ann")] == ids[3:]


def test_pause_holds_a_job_and_resume_lets_it_go_on(page: Page) -> None:
    jobs = page.services.jobs
    job_id = jobs.submit(GenerationRequest(width=64, height=64, steps=400), "ann")
    page.events.pause({"job": job_id}, visitor("bob"))
    assert jobs.view(job_id).state.value != "paused"
    page.events.pause({"job": job_id}, visitor("ann"))
    assert jobs.view(job_id).state.value == "paused"
    page.events.resume({"job": job_id}, visitor("ann"))
    assert jobs.view(job_id).state.value in {"queued", "running"}
    jobs.cancel(job_id)
