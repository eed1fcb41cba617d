import asyncio
import base64
import itertools
import time
from pathlib import Path
from typing import cast

from modules.domain.job import JobState, JobView, ResultImage
from modules.domain.request import GenerationRequest
from modules.services import Services
from modules.webui.result.live import (
    MIN_FRAME_SECONDS,
    JobPicture,
    follow_job,
    follow_jobs,
    job_picture,
    notice_picture,
    selected_image,
)


def view(state: JobState, **fields: object) -> JobView:
    return JobView("job", "local", state, **fields)  # type: ignore[arg-type]  # the test names the fields


def text(state: JobState, **fields: object) -> object:
    return " | ".join(cast("list[str]", job_picture(view(state, **fields))["parts"]))


def test_a_running_job_shows_its_preview_as_a_data_uri() -> None:
    src = job_picture(view(JobState.RUNNING, preview=b"jpeg"))["src"]
    assert src == "data:image/jpeg;base64," + base64.b64encode(b"jpeg").decode()


def test_an_ended_job_shows_no_preview() -> None:
    assert job_picture(view(JobState.DONE, preview=b"jpeg"))["src"] == ""


def test_the_place_in_the_queue_is_told_in_words() -> None:
    assert text(JobState.QUEUED, position=1) == "Next in line"
    assert text(JobState.QUEUED, position=23) == "Number 23 in line"
    assert text(JobState.PAUSED) == "Paused"


def test_progress_tells_step_picture_and_time_left() -> None:
    shown = text(JobState.RUNNING, step=3, steps=20, images_done=1, images_total=4, eta_seconds=75.0)
    assert shown == "Step 3 of 20 | Picture 2 of 4 | 75 s left"


def test_the_end_tells_how_long_it_took() -> None:
    assert text(JobState.DONE, started=10.0, finished=13.25) == "Done in 3.2 s"
    assert text(JobState.CANCELLED, started=0.0, finished=125.0) == "Stopped in 2 min 5 s"


def test_pictures_are_named_by_id_and_not_by_path() -> None:
    image = ResultImage("id1", "/secret/folder/00001-5.png", 0, 256, 128, 2**60 + 1, "a cat\nSteps: 20")
    shown = job_picture(view(JobState.DONE, images=(image,)))["images"]
    assert shown == [
        {
            "id": "id1",
            "name": "00001-5.png",
            "width": 256,
            "height": 128,
            "seed": str(2**60 + 1),
            "index": 0,
            "infotext": "a cat\nSteps: 20",
        }
    ]


def test_a_failure_is_shown_as_its_sentence() -> None:
    assert job_picture(view(JobState.FAILED, error="The disk is full."))["error"] == {
        "text": "The disk is full.",
        "field": "",
    }


def test_a_damaged_checkpoint_and_too_little_memory_are_told_beside_their_controls() -> None:
    def field(kind: str, blamed: str = "") -> object:
        failed = job_picture(view(JobState.FAILED, error="It failed.", error_kind=kind, error_field=blamed))
        return cast("dict[str, str]", failed["error"])["field"]

    assert field("CheckpointError") == "setting_sd_model_checkpoint"
    assert field("DeviceMemoryError") == "width"
    assert field("") == ""
    assert field("RequestError", "n_iter") == "batch_count"


def test_several_jobs_are_followed_as_if_they_were_one(painted: Services) -> None:
    prompts = ("one", "fail", "three")
    request = GenerationRequest(steps=2, width=64, height=64)
    jobs = [painted.jobs.submit(request.model_copy(update={"prompt": each}), "ann") for each in prompts]

    async def watch() -> list[JobPicture]:
        return [picture async for picture in follow_jobs(painted.jobs, jobs)]

    frames = asyncio.run(watch())
    last = frames[-1]
    assert {str(frame["state"]) for frame in frames[:-1]} <= {"queued", "running"}
    assert last["state"] == "done"
    made = cast("list[dict[str, str]]", last["images"])
    assert [image["infotext"].split("\n")[0] for image in made] == ["one", "three"]
    assert "The checkpoint is damaged: choose another one." in cast("list[str]", last["comments"])
    progress = [cast("float", frame["progress"]) for frame in frames]
    assert progress == sorted(progress)
    assert cast("list[str]", last["parts"])[0] == "File 3 of 3"


def test_a_refused_request_does_not_touch_the_job_that_is_shown() -> None:
    assert "job" not in notice_picture("Width must be more.", "txt2img_width")


def test_what_the_page_claims_to_show_is_checked() -> None:
    assert selected_image({"job": "j", "selected": "i", "images": []}) == ("j", "i")
    assert selected_image({"job": 5, "selected": ["x"]}) == ("", "")
    assert selected_image("nonsense") == ("", "")


def test_following_ends_with_the_job_and_spares_frames(painted: Services) -> None:
    job_id = painted.jobs.submit(GenerationRequest(steps=50, width=64, height=64), "local")

    async def watch() -> list[tuple[float, JobPicture]]:
        return [(time.monotonic(), picture) async for picture in follow_job(painted.jobs, job_id)]

    frames = asyncio.run(watch())
    assert frames[-1][1]["state"] == "done"
    assert len(frames[-1][1]["images"]) == 1  # type: ignore[arg-type]  # a list
    gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(frames[:-1])]
    assert all(gap >= MIN_FRAME_SECONDS * 0.9 for gap in gaps)


def test_closing_the_page_does_not_hurt_the_job(painted: Services) -> None:
    job_id = painted.jobs.submit(GenerationRequest(steps=30, width=64, height=64), "local")

    async def look_once() -> None:
        relay = follow_job(painted.jobs, job_id)
        await anext(relay)
        await relay.aclose()

    asyncio.run(look_once())
    assert painted.jobs.wait(job_id, 20).state is JobState.DONE
    assert Path(painted.jobs.view(job_id).images[0].path).is_file()
