"""Whole pictures on tiny models: the same request gives the same bytes, whatever else happens."""

import gc
import json
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.domain.job import JobState, JobView
from modules.domain.request import GenerationRequest, Hires, ImageToImage
from modules.imaging.metadata import encode_image, read_infotext
from modules.services import Services
from tests.generation.conftest import Studio

WAIT = 120.0  # seconds; one picture takes well under one
BASE = {
    "prompt": "a photo of a cat",
    "seed": 7,
    "steps": 4,
    "width": 64,
    "height": 64,
    "checkpoint": "tiny-sd1",
}


def finished(services: Services, job_id: str) -> JobView:
    view = services.jobs.wait(job_id, WAIT)
    assert view.state is JobState.DONE, view.error
    return view


def make(services: Services, owner: str = "artist", **changes: object) -> list[bytes]:
    request = GenerationRequest.model_validate({**BASE, **changes})
    view = finished(services, services.jobs.submit(request, owner))
    return [Path(image.path).read_bytes() for image in view.images if image.index >= 0]


def pixels(content: bytes, tmp_path: Path) -> np.ndarray:
    file = tmp_path / "picture.png"
    file.write_bytes(content)
    return np.asarray(Image.open(file))


def stored_picture(services: Services, size: int = 64) -> str:
    ramp = np.linspace(0, 255, size, dtype=np.uint8)
    picture = np.stack(
        [np.tile(ramp, (size, 1)), np.tile(ramp[:, None], (1, size)), np.full((size, size), 90)], 2
    )
    return services.blobs.put(encode_image(Image.fromarray(picture.astype(np.uint8)), "png"))


def stored_mask(services: Services, size: int = 64) -> str:
    mask = np.zeros((size, size), np.uint8)
    mask[16:48, 16:48] = 255
    return services.blobs.put(encode_image(Image.fromarray(mask), "png"))


def test_the_same_request_gives_the_same_bytes(services: Services) -> None:
    assert make(services) == make(services)


def test_a_batch_of_four_equals_four_singles(services: Services) -> None:
    batch = make(services, batch_size=4, sampler_name="Euler a")
    singles = [make(services, seed=7 + i, sampler_name="Euler a")[0] for i in range(4)]
    assert batch == singles


def test_batch_count_continues_the_seeds(services: Services) -> None:
    assert make(services, n_iter=2) == [make(services)[0], make(services, seed=8)[0]]


def test_two_jobs_interleaved_equal_the_same_jobs_alone(services: Services) -> None:
    alone = [make(services, sampler_name="DPM++ 2M SDE"), make(services, seed=99, cfg_scale=3.0)]
    first = services.jobs.submit(
        GenerationRequest.model_validate({**BASE, "sampler_name": "DPM++ 2M SDE"}), "ann"
    )
    second = services.jobs.submit(
        GenerationRequest.model_validate({**BASE, "seed": 99, "cfg_scale": 3.0}), "bob"
    )
    together = [
        [Path(image.path).read_bytes() for image in finished(services, job).images] for job in (first, second)
    ]
    assert together == alone


def test_an_empty_prompt_works(services: Services) -> None:
    assert len(make(services, prompt="")) == 1


def test_the_saved_metadata_reproduces_the_picture(services: Services) -> None:
    (content,) = make(services, sampler_name="DPM++ SDE", steps=3, seed=-1)
    text, _ = read_infotext(content)
    assert text is not None
    seed = int(text.split("Seed: ")[1].split(",")[0])
    assert make(services, sampler_name="DPM++ SDE", steps=3, seed=seed) == [content]


def test_info_names_every_picture(services: Services) -> None:
    request = GenerationRequest.model_validate({**BASE, "batch_size": 2})
    info = json.loads(finished(services, services.jobs.submit(request, "artist")).info)
    assert info["all_seeds"] == [7, 8]
    assert info["index_of_first_image"] == 1
    assert len(info["infotexts"]) == 3  # the grid's first


def test_a_long_job_without_a_grid_lets_go_of_its_pictures(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Image.Image]] = []
    alive: list[int] = []

    def watched(picture: Image.Image, format: str, infotext: str | None, **_options: object) -> bytes:
        gc.collect()
        alive.append(sum(each() is not None for each in made))
        made.append(weakref.ref(picture))
        return encode_image(picture, format, infotext)

    monkeypatch.setattr("modules.generation.outputs.encode_image", watched)
    request = GenerationRequest.model_validate({**BASE, "steps": 1, "n_iter": 4, "save_images": False})
    finished(services, services.jobs.submit(request, "artist"))
    assert alive == [0, 0, 0, 0]


def test_a_grid_that_is_not_to_be_shown_is_only_written(services: Services) -> None:
    grids = services.options.folders.outputs / "txt2img-grids"
    before = set(grids.rglob("*.png"))
    request = GenerationRequest.model_validate(
        {**BASE, "steps": 1, "batch_size": 2, "override_settings": {"return_grid": False}}
    )
    view = finished(services, services.jobs.submit(request, "artist"))
    info = json.loads(view.info)
    assert [image.index for image in view.images] == [0, 1]
    assert (info["index_of_first_image"], len(info["infotexts"])) == (0, 2)
    assert len(set(grids.rglob("*.png")) - before) == 1


def test_denoising_zero_gives_the_source_back(services: Services, tmp_path: Path) -> None:
    source = stored_picture(services)
    near = {"images": (source,), "denoising_strength": 0.0}
    far = {"images": (source,), "denoising_strength": 1.0}
    kept, changed = (
        pixels(make(services, image_to_image=options)[0], tmp_path).astype(int) for options in (near, far)
    )
    again = pixels(make(services, image_to_image=near, seed=8)[0], tmp_path).astype(int)
    assert abs(kept - again).mean() < abs(kept - changed).mean()


def test_copies_from_on_the_way_are_kept_where_the_settings_want_them(services: Services) -> None:
    asides = ("mask", "mask-composite", "before-color-correction")
    start = ImageToImage(
        images=(stored_picture(services),), mask=stored_mask(services), denoising_strength=0.5
    )
    request = GenerationRequest(
        **(BASE | {"seed": 987654}),
        image_to_image=start,
        override_settings={
            "save_mask": True,
            "save_mask_composite": True,
            "save_images_before_color_correction": True,
            "img2img_color_correction": True,
        },
    )
    (image,) = finished(services, services.jobs.submit(request, "artist")).images
    for aside in asides:
        assert len(list(Path(image.path).parent.glob(f"*987654*-{aside}.png"))) == 1, aside


@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
def test_inpainting_leaves_everything_outside_the_mask_alone(
    services: Services, tmp_path: Path, only_masked: bool, sampler: str
) -> None:
    source = stored_picture(services)
    options = ImageToImage(
        images=(source,),
        mask=stored_mask(services),
        mask_blur_x=0,
        mask_blur_y=0,
        inpainting_fill=1,
        inpaint_full_res=only_masked,
        inpaint_full_res_padding=8,
    )
    (content,) = make(services, image_to_image=options, sampler_name=sampler)
    result, original = pixels(content, tmp_path), np.asarray(services.blobs.image(source))
    outside = np.ones((64, 64), bool)
    outside[16:48, 16:48] = False
    assert np.array_equal(result[outside], original[outside])
    assert not np.array_equal(result[~outside], original[~outside])


RESUMED = [
    {"sampler_name": "Euler a", "steps": 18},
    {"sampler_name": "DPM++ 2M SDE", "steps": 18},
    {"sampler_name": "UniPC", "steps": 18},
    {"sampler_name": "Euler", "steps": 10, "hires": Hires(scale=1.5, denoising_strength=0.6)},
    {"sampler_name": "DPM++ 2M", "steps": 10, "batch_size": 2, "n_iter": 2},
]


@pytest.mark.parametrize("changes", RESUMED, ids=lambda changes: str(changes["sampler_name"]))
def test_a_restart_in_the_middle_of_a_picture_changes_no_byte(
    studio: Studio,
    services: Services,
    tmp_path: Path,
    changes: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("modules.generation.job_run.STORE_EVERY", 0.0)
    whole = make(services, "artist", **changes)
    request = GenerationRequest.model_validate({**BASE, **changes})
    with studio(tmp_path) as before:
        job = before.jobs.submit(request, "artist")
        while before.jobs.view(job).step < 5:
            time.sleep(0.005)
    with studio(tmp_path) as after:
        view = finished(after, job)
        parts = [Path(image.path).read_bytes() for image in view.images if image.index >= 0]
    assert parts == whole


def test_interrupt_keeps_what_there_is(services: Services) -> None:
    request = GenerationRequest.model_validate({**BASE, "steps": 500, "n_iter": 3})
    job = services.jobs.submit(request, "artist")
    while services.jobs.view(job).step < 2:
        time.sleep(0.005)
    services.jobs.interrupt(job)
    view = finished(services, job)
    assert len(view.images) == 1


def test_skip_goes_on_with_the_next_picture(services: Services) -> None:
    request = GenerationRequest.model_validate({**BASE, "steps": 200, "n_iter": 2})
    job = services.jobs.submit(request, "artist")
    while services.jobs.view(job).step < 2:
        time.sleep(0.005)
    services.jobs.skip(job)
    while services.jobs.view(job).images_done < 1:
        time.sleep(0.005)
    services.jobs.skip(job)
    assert len([image for image in finished(services, job).images if image.index >= 0]) == 2


def test_cancel_ends_a_running_job(services: Services) -> None:
    job = services.jobs.submit(GenerationRequest.model_validate({**BASE, "steps": 900}), "artist")
    while services.jobs.view(job).step < 2:
        time.sleep(0.005)
    services.jobs.cancel(job)
    assert services.jobs.wait(job, WAIT).state is JobState.CANCELLED


def test_a_paused_picture_goes_on_where_it_was(services: Services) -> None:
    whole = make(services, steps=40)
    job = services.jobs.submit(GenerationRequest.model_validate({**BASE, "steps": 40}), "artist")
    while services.jobs.view(job).step < 3:
        time.sleep(0.002)
    services.jobs.pause(job)
    make(services, "another artist", steps=2)  # when it is done, the step that was being made is over too
    held = services.jobs.view(job).step
    make(services, "another artist", steps=2)
    assert (services.jobs.view(job).state, services.jobs.view(job).step) == (JobState.PAUSED, held)
    assert held < 40
    services.jobs.resume(job)
    assert [Path(image.path).read_bytes() for image in finished(services, job).images] == whole


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checkpoint": "no such model"}, "no such model"),
        ({"sampler_name": "Euler z"}, "Euler z"),
        ({"scheduler": "Sideways"}, "Sideways"),
        ({"hires": Hires(upscaler="Imaginary 4x")}, "Imaginary 4x"),
        ({"image_to_image": {"images": ["0" * 64]}}, "0000"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_next_job_is_fine(
    services: Services, changes: dict[str, object], words: str
) -> None:
    request = GenerationRequest.model_validate({**BASE, **changes})
    view = services.jobs.wait(services.jobs.submit(request, "artist"), WAIT)
    assert view.state is JobState.FAILED
    assert view.error is not None
    assert words in view.error
    assert len(make(services)) == 1


def test_a_damaged_checkpoint_is_named_and_the_next_job_is_fine(
    services: Services, tiny_models: Path
) -> None:
    damaged = tiny_models / "models" / "Stable-diffusion" / "damaged.safetensors"
    damaged.write_bytes(b"no checkpoint at all")
    try:
        services.catalog.refresh()
        request = GenerationRequest.model_validate({**BASE, "checkpoint": "damaged"})
        view = services.jobs.wait(services.jobs.submit(request, "artist"), WAIT)
    finally:
        damaged.unlink()
        services.catalog.refresh()
    assert view.state is JobState.FAILED
    assert view.error_kind == "CheckpointError"
    assert "damaged.safetensors" in (view.error or "")
    assert len(make(services)) == 1


def test_a_missing_lora_is_a_comment_beside_the_picture(services: Services) -> None:
    request = GenerationRequest.model_validate({**BASE, "prompt": "a cat <lora:nowhere:1>"})
    view = finished(services, services.jobs.submit(request, "artist"))
    assert any("nowhere" in comment for comment in view.comments)


def test_a_lora_is_taken_off_again_to_the_bit(services: Services) -> None:
    plain = make(services, prompt="a cat")
    assert make(services, prompt="a cat <lora:tinylora:1>") != plain
    assert make(services, prompt="a cat") == plain


def test_previews_appear_before_the_picture(services: Services) -> None:
    job = services.jobs.submit(GenerationRequest.model_validate({**BASE, "steps": 60}), "artist")
    seen: set[int] = set()
    while not services.jobs.view(job).state.is_final:
        view = services.jobs.view(job)
        if view.preview is not None:
            assert view.preview.startswith(b"\xff\xd8")
            seen.add(view.preview_version)
        time.sleep(0.005)
    assert len(seen) >= 2


def test_nothing_is_drawn_for_nobody(services: Services) -> None:
    job = services.jobs.submit(GenerationRequest.model_validate(BASE), "artist")
    assert finished(services, job).preview is None
