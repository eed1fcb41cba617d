"""Jobs with scripts on the real engine: what is saved and shown, stopped, resumed and told."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.checkpoints.files import CheckpointFile, VaeFile
from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.domain.job import JobState, JobView
from modules.domain.plot_axes import axes_of
from modules.domain.request import GenerationRequest, ImageToImage
from modules.generation.script_work import ScriptRecords
from modules.generation.scripts.script import RenderedPicture
from modules.imaging.metadata import encode_image
from modules.runtime.device import Runtime
from modules.services import Services
from tests.generation.conftest import Studio

WAIT = 120.0
BASE = {"prompt": "a cat", "seed": 7, "steps": 2, "width": 64, "height": 64, "checkpoint": "tiny-sd1"}
AXES = [axis.label for axis in axes_of("txt2img")]


def plot(*axes: tuple[str, str], shown: bool = False) -> dict[str, object]:
    """Fields of a request for a plot."""
    sides: list[object] = []
    for label, values in (*axes, ("Nothing", ""), ("Nothing", ""))[:3]:
        sides += [AXES.index(label), values, []]
    options = [True, shown, False, False, False, False, False, 0, True]
    return {"script_name": "X/Y/Z plot", "script_args": (*sides, *options)}


def submit(services: Services, **changes: object) -> str:
    return services.jobs.submit(GenerationRequest.model_validate({**BASE, **changes}), "artist")


def done(services: Services, job: str) -> JobView:
    view = services.jobs.wait(job, WAIT)
    assert view.state is JobState.DONE, view.error
    return view


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def source(services: Services) -> ImageToImage:
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
    image = Image.fromarray(np.stack([ramp, ramp.T, ramp], 2))
    return ImageToImage(images=(services.blobs.put(encode_image(image, "png")),), denoising_strength=0.5)


@pytest.fixture
def own(studio: Studio, tmp_path: Path) -> Iterator[Services]:
    with studio(tmp_path) as services:
        yield services


def test_a_plot_shows_its_sheet_and_saves_cells_and_sheet(own: Services, tmp_path: Path) -> None:
    view = done(own, submit(own, **plot(("Steps", "1,2"), ("Seed", "3,4"))))
    (sheet,) = view.images
    assert sheet.index == -1
    assert Path(sheet.path).name.startswith("xyz_grid-0000")
    assert "X Type: Steps" in sheet.infotext
    cells = sorted((tmp_path / "outputs" / "txt2img-images").rglob("*.png"))
    assert len(cells) == 4
    assert len(own.history.index.paths()) == 5  # those that the job shows, and those that it does not
    single = done(own, submit(own, steps=1, seed=3)).images[0]
    assert np.array_equal(pixels(single.path), pixels(str(cells[0])))
    info = json.loads(view.info)
    assert info["all_seeds"] == [3, 3, 4, 4]
    assert info["index_of_first_image"] == 1


def test_cells_are_shown_in_the_order_of_the_plot_when_asked(services: Services) -> None:
    view = done(services, submit(services, **plot(("Seed", "3,4"), shown=True)))
    assert [image.index for image in view.images] == [-1, 0, 1]
    assert [image.seed for image in view.images[1:]] == [3, 4]


def test_each_checkpoint_of_a_plot_is_loaded_once(own: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def noting(
        file: CheckpointFile, vae: VaeFile | None, runtime: Runtime, *, depth_folder: Path | None = None
    ) -> LoadedModel:
        loaded.append(file.stem)
        return load_model(file, vae, runtime, depth_folder=depth_folder)

    monkeypatch.setattr("modules.generation.models.load_model", noting)
    done(own, submit(own, **plot(("Steps", "1,2"), ("Checkpoint name", "tiny-sd1,tiny-sd1-b"))))
    assert loaded.count("tiny-sd1-b") == 1
    assert loaded.count("tiny-sd1") <= 1  # it may be in memory from the start


def test_a_cell_that_cannot_be_made_is_blank_and_told(services: Services) -> None:
    view = done(services, submit(services, **plot(("Schedule type", "Karras,Sideways"))))
    assert any("Sideways" in comment for comment in view.comments)
    sheet = pixels(view.images[0].path)
    assert not sheet[-64:, -64:].any()


def test_a_value_that_cannot_be_used_ends_the_job_with_a_sentence(services: Services) -> None:
    view = services.jobs.wait(submit(services, **plot(("Steps", "one"))), WAIT)
    assert view.state is JobState.FAILED
    assert "'one' is no whole number" in (view.error or "")
    assert (view.error_kind, view.error_field) == ("RequestError", "script_args")


def test_tiles_are_neither_shown_nor_saved_and_their_picture_is(own: Services, tmp_path: Path) -> None:
    job = submit(
        own, script_name="SD upscale", script_args=("", 16, "Lanczos", 2.0), image_to_image=source(own)
    )
    view = done(own, job)
    (picture,) = view.images
    assert (picture.index, picture.width, picture.height) == (0, 128, 128)
    assert "SD upscale overlap: 16" in picture.infotext
    assert [path.name for path in (tmp_path / "outputs").rglob("*.png")] == [Path(picture.path).name]


def test_progress_counts_the_pictures_that_scripts_ask_for(services: Services) -> None:
    job = submit(services, steps=20, script_name="SD upscale", script_args=("", 16, "Lanczos", 2.0),
                 image_to_image=source(services))  # fmt: skip
    seen: set[tuple[int, int]] = set()
    fractions = [0.0]
    while not (view := services.jobs.view(job)).state.is_final:
        seen.add((view.images_done, view.images_total))
        fractions.append(view.progress)
        time.sleep(0.005)
    done(services, job)
    assert (4, 9) in seen
    assert fractions == sorted(fractions)


def test_interrupt_ends_a_plot_with_what_there_is(services: Services) -> None:
    job = submit(services, **plot(("Steps", "200,201,202"), shown=True))
    while services.jobs.view(job).step < 2:
        time.sleep(0.005)
    services.jobs.interrupt(job)
    view = done(services, job)
    assert [image.index for image in view.images] == [-1, 0]


def test_skip_goes_on_with_the_next_cell(services: Services) -> None:
    job = submit(services, **plot(("Steps", "300,2"), shown=True))
    while services.jobs.view(job).step < 2:
        time.sleep(0.005)
    services.jobs.skip(job)
    assert [image.index for image in done(services, job).images] == [-1, 0, 1]


def test_cancel_ends_a_script(services: Services) -> None:
    job = submit(services, **plot(("Steps", "300,301")))
    while services.jobs.view(job).step < 2:
        time.sleep(0.005)
    services.jobs.cancel(job)
    assert services.jobs.wait(job, WAIT).state is JobState.CANCELLED


SCRIPTS: list[dict[str, object]] = [
    plot(("Seed", "3,4"), ("Steps", "6,7"), shown=True),
    {"script_name": "Loopback", "script_args": (3, 0.3, "Linear", "None"), "steps": 12},
]


@pytest.mark.parametrize("changes", SCRIPTS, ids=lambda changes: str(changes["script_name"]))
def test_after_a_restart_finished_pictures_are_not_rendered_again(
    studio: Studio, tmp_path: Path, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    keep = ScriptRecords.save

    def noting(records: ScriptRecords, key: int, picture: RenderedPicture) -> None:
        saved.append(key)
        keep(records, key, picture)

    monkeypatch.setattr(ScriptRecords, "save", noting)
    with studio(tmp_path) as before:
        if changes["script_name"] == "Loopback":
            changes = {**changes, "image_to_image": source(before)}
        whole = done(before, submit(before, **changes))
        made, job = len(saved), submit(before, **changes)
        while len(saved) < made + 2:
            time.sleep(0.002)
    with studio(tmp_path) as after:
        view = done(after, job)
    again = saved[made:]
    assert sorted(again) == sorted(set(again))
    assert len(again) == made
    assert [pixels(image.path).tolist() for image in view.images] == [
        pixels(image.path).tolist() for image in whole.images
    ]
    assert [image.infotext for image in view.images] == [image.infotext for image in whole.images]


def test_lossy_files_lose_nothing_between_loops(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    keep = ScriptRecords.save

    def noting(records: ScriptRecords, key: int, picture: RenderedPicture) -> None:
        seen.append(np.asarray(picture.image()))
        keep(records, key, picture)

    monkeypatch.setattr(ScriptRecords, "save", noting)
    loops: dict[str, object] = {
        "script_name": "Loopback",
        "script_args": (2, 0.5, "Linear", "None"),
        "image_to_image": source(services),
    }
    done(services, submit(services, **loops))
    view = done(services, submit(services, **loops, override_settings={"samples_format": "jpg"}))
    with Image.open(view.images[-1].path) as image:
        assert image.format == "JPEG"
    assert np.array_equal(seen[0], seen[2])
    assert np.array_equal(seen[1], seen[3])


def test_a_script_of_another_tab_is_refused(services: Services) -> None:
    view = services.jobs.wait(submit(services, script_name="Loopback"), WAIT)
    assert (view.state, view.error) == (JobState.FAILED, "Script 'Loopback' not found")
