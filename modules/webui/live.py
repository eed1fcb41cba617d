"""The live picture: one fixed piece of page in which a job's preview forms and its results appear.

Gradio events only relay. The job runs in the runner's thread whatever the page does; a relay that
is closed by a reload loses nothing, the next page attaches to the same job.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import gradio as gr

from modules.domain.job import JobState, JobView, ResultImage
from modules.imaging.decode import data_uri
from modules.jobs.service import JobService
from modules.webui.assets import asset_text

__all__ = [
    "IDLE",
    "JobPicture",
    "follow_job",
    "job_picture",
    "live_picture",
    "notice_picture",
    "selected_image",
]

MIN_FRAME_SECONDS = 0.12  # at most 8 frames a second: more is not seen, but costs the browser
IDLE: dict[str, object] = {"job": "", "state": "idle", "src": "", "progress": 0.0, "text": "", "images": []}

JobPicture = dict[str, object]
"""JSON value of the live picture: job, state, src, progress, text, images, comments, error."""


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
        "text": _progress_text(view),
        "images": [_image(image) for image in view.images],
        "comments": list(view.comments),
        "error": {"text": view.error, "field": ""} if view.error else None,
    }


def notice_picture(text: str, element_id: str = "") -> JobPicture:
    """What is shown instead of a job that could not be submitted; the sentence stands beside the field."""
    return {
        "state": "idle",
        "src": "",
        "progress": 0.0,
        "text": "",
        "error": {"text": text, "field": element_id},
    }


async def follow_job(jobs: JobService, job_id: str) -> AsyncGenerator[JobPicture, None]:
    """Relay a job to the page until it ends; between two frames views may be left out."""
    async for view in jobs.follow(job_id):
        yield job_picture(view)
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


def _progress_text(view: JobView) -> str:
    if view.state is JobState.QUEUED:
        return "Next in line" if view.position <= 1 else f"Waiting, {_ordinal(view.position)} in line"
    if view.state is JobState.PAUSED:
        return "Paused"
    if view.state.is_final:
        return _final_text(view)
    parts = [view.text] if view.text else []
    if view.steps:
        parts.append(f"Step {view.step} of {view.steps}")
    if view.images_total > 1:
        parts.append(f"picture {min(view.images_done + 1, view.images_total)} of {view.images_total}")
    if view.eta_seconds is not None and view.eta_seconds >= 1:
        parts.append(f"{_duration(view.eta_seconds)} left")
    return " · ".join(parts) or "Starting"


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


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
