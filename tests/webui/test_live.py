import asyncio
import base64
import itertools
import time
from pathlib import Path

from modules.domain.job import JobState, JobView, ResultImage
from modules.domain.request import GenerationRequest
from modules.services import Services
from modules.webui.live import (
    MIN_FRAME_SECONDS,
    JobPicture,
    follow_job,
    job_picture,
    notice_picture,
    selected_image,
)


def view(state: JobState, **fields: object) -> JobView:
    return JobView("job", "local", state, **fields)  # type: ignore[arg-type]  # the test names the fields


def text(state: JobState, **fields: object) -> object:
    return job_picture(view(state, **fields))["text"]


def test_a_running_job_shows_its_preview_as_a_data_uri() -> None:
    src = job_picture(view(JobState.RUNNING, preview=b"jpeg"))["src"]
    assert src == "data:image/jpeg;base64," + base64.b64encode(b"jpeg").decode()


def test_an_ended_job_shows_no_preview() -> None:
    assert job_picture(view(JobState.DONE, preview=b"jpeg"))["src"] == ""


def test_the_place_in_the_queue_is_told_in_words() -> None:
    assert text(JobState.QUEUED, position=1) == "Next in line"
    assert text(JobState.QUEUED, position=2) == "Waiting, 2nd in line"
    assert text(JobState.QUEUED, position=11) == "Waiting, 11th in line"
    assert text(JobState.QUEUED, position=23) == "Waiting, 23rd in line"


def test_progress_tells_step_picture_and_time_left() -> None:
    shown = text(JobState.RUNNING, step=3, steps=20, images_done=1, images_total=4, eta_seconds=75.0)
    assert shown == "Step 3 of 20 · picture 2 of 4 · 75 s left"


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
