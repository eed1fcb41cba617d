"""The live picture: one fixed piece of page in which a job's preview forms and its results appear.

Gradio events only relay. The job runs in the runner's thread whatever the page does; a relay that
is closed by a reload loses nothing, the next page attaches to the same job.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import gradio as gr

from modules.domain.job import JobState, JobView, ResultImage
from modules.imaging.decode import data_uri
from modules.jobs.service import JobService
from modules.webui.assets import asset_text
from modules.webui.form.request_builder import control_of

__all__ = [
    "IDLE",
    "JobPicture",
    "follow_job",
    "follow_jobs",
    "job_picture",
    "live_picture",
    "notice_picture",
    "selected_image",
]

MIN_FRAME_SECONDS = 0.12  # at most 8 frames a second: more is not seen, but costs the browser
IDLE: dict[str, object] = {"job": "", "state": "idle", "src": "", "progress": 0.0, "parts": [], "images": []}

JobPicture = dict[str, object]
"""JSON value of the live picture: job, state, src, progress, parts, images, comments, error, batch."""

# kind of error -> key or id of the control that has most to do with it
_CONTROL_OF_ERROR = {"CheckpointError": "setting_sd_model_checkpoint", "DeviceMemoryError": "width"}


def live_picture(tab: str) -> gr.HTML:
    """The component. Children made inside it appear between the pictures and their parameters."""
    return gr.HTML(
        dict(IDLE),
        html_template=asset_text("live.html").replace("TAB", tab),
        js_on_load=asset_text("live.js"),
        elem_id=f"{tab}_gallery",
        elem_classes=["live"],
        apply_default_css=False,
    )


def job_picture(view: JobView) -> JobPicture:
    """A job's view as the live picture shows it."""
    running = not view.state.is_final
    return {
        "job": view.id,
        "state": view.state.value,
        "src": data_uri(view.preview) if running and view.preview else "",
        "progress": round(view.progress, 4),
        "parts": _progress_parts(view),
        "images": [_image(image) for image in view.images],
        "comments": list(view.comments),
        "error": _error(view),
        "batch": [],
    }


def notice_picture(text: str, element_id: str = "") -> JobPicture:
    """What is shown instead of a job that could not be submitted; the sentence stands beside the field."""
    return {
        "state": "idle",
        "src": "",
        "progress": 0.0,
        "parts": [],
        "error": {"text": text, "field": element_id},
    }


async def follow_job(jobs: JobService, job_id: str) -> AsyncGenerator[JobPicture, None]:
    """Relay a job to the page until it ends; between two frames views may be left out."""
    async for view in jobs.follow(job_id):
        yield job_picture(view)
        if not view.state.is_final:
            await asyncio.sleep(MIN_FRAME_SECONDS)


async def follow_jobs(
    jobs: JobService, job_ids: Sequence[str], *, shown: int = -1
) -> AsyncGenerator[JobPicture, None]:
    """Relay several jobs one after another as if they were one.

    Args:
        jobs: where they run.
        job_ids: in the order in which they will run.
        shown: how many pictures are shown at most, -1 for all.
    """
    if len(job_ids) == 1:
        async for picture in follow_job(jobs, job_ids[0]):
            yield picture
        return
    images: list[object] = []
    comments: list[object] = []
    for place, job_id in enumerate(job_ids):
        is_last = place == len(job_ids) - 1
        async for view in jobs.follow(job_id):
            picture = job_picture(view)
            made = [*images, *_list(picture["images"])]
            said = [*comments, *([view.error] if view.error else []), *_list(picture["comments"])]
            if view.state.is_final:
                images, comments = made, said
                if not is_last:
                    break
            yield picture | {
                "progress": round((place + view.progress) / len(job_ids), 4),
                "parts": [f"File {place + 1} of {len(job_ids)}", *_list(picture["parts"])],
                "images": made if shown < 0 else made[:shown],
                "comments": said,
                "batch": list(job_ids[place + 1 :]),
            }
            if not view.state.is_final:
                await asyncio.sleep(MIN_FRAME_SECONDS)


def selected_image(payload: object) -> tuple[str, str]:
    """Job id and picture id that the page says are selected; "" where there is none."""
    if not isinstance(payload, dict):
        return "", ""
    job, image = payload.get("job"), payload.get("selected")
    return (job if isinstance(job, str) else "", image if isinstance(image, str) else "")


def _image(image: ResultImage) -> dict[str, object]:
    return {
        "id": image.id,
        "name": Path(image.path).name,
        "width": image.width,
        "height": image.height,
        "seed": str(image.seed),  # 64-bit seeds do not fit a JavaScript number
        "index": image.index,
        "infotext": image.infotext,
    }


def _error(view: JobView) -> dict[str, str] | None:
    if not view.error:
        return None
    blamed = control_of(view.error_field) if view.error_field else _CONTROL_OF_ERROR.get(view.error_kind, "")
    return {"text": view.error, "field": blamed}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _progress_parts(view: JobView) -> list[str]:
    """Short sentences that say how far the job is; the page shows them side by side."""
    if view.state is JobState.QUEUED:
        return ["Next in line" if view.position <= 1 else f"Number {view.position} in line"]
    if view.state is JobState.PAUSED:
        return ["Paused"]
    if view.state.is_final:
        return [_final_text(view)]
    parts = [view.text] if view.text else []
    if view.steps:
        parts.append(f"Step {view.step} of {view.steps}")
    if view.images_total > 1:
        parts.append(f"Picture {min(view.images_done + 1, view.images_total)} of {view.images_total}")
    if view.eta_seconds is not None and view.eta_seconds >= 1:
        parts.append(f"{_duration(view.eta_seconds)} left")
    return parts or ["Starting"]


def _final_text(view: JobView) -> str:
    if view.state is JobState.FAILED:
        return "Failed"
    word = "Stopped" if view.state is JobState.CANCELLED else "Done"
    if view.started is None or view.finished is None:
        return word
    return f"{word} in {_duration(view.finished - view.started)}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
