"""How far the caller's job is, and the buttons Interrupt and Skip."""

import base64
import json
import time
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modules.domain.job import JobState, JobView
from modules.exceptions import NotFoundError
from modules.imaging.decode import data_uri
from modules.jobs.service import JobService
from modules.server.answer_types import NULL_ANSWER
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.server.sdapi.tasks import TaskNames

__all__ = ["InternalProgress", "Progress", "ProgressState", "progress_router"]


class ProgressState(BaseModel):
    """A1111's state of the current job."""

    skipped: bool = Field(False, description="the current picture is to end early")
    interrupted: bool = Field(False, description="the job is to stop")
    stopping_generation: bool = Field(False, description="accepted for compatibility")
    job: str = Field("", description="what runs; empty when nothing does")
    job_count: int = Field(0, description="pictures in all; 0 when nothing runs")
    job_timestamp: str = Field("0", description="when it began, as YYYYMMDDhhmmss")
    job_no: int = Field(0, description="finished pictures")
    sampling_step: int = Field(0, description="of the current picture")
    sampling_steps: int = Field(0, description="of a picture")


class Progress(BaseModel):
    """How far the caller's running job is."""

    progress: float = Field(description="0 to 1")
    eta_relative: float = Field(description="estimated seconds left")
    state: ProgressState = Field(description="of the job")
    current_image: str | None = Field(None, description="latest preview, as base64")
    textinfo: str | None = Field(None, description="what is being done, for people")


class InternalProgressRequest(BaseModel):
    """Which task, and which preview the client has already."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id_task": "task(abc1234)", "id_live_preview": -1, "live_preview": True}]
        }
    )

    id_task: str | None = Field(None, description="the force_task_id, or a job's id")
    id_live_preview: int | None = Field(
        -1, description="version of the preview that the client has, -1 for none"
    )
    live_preview: bool | None = Field(True, description="whether previews are wanted")


class InternalProgress(BaseModel):
    """Progress of one task, as A1111's page asks for it."""

    active: bool = Field(description="it runs")
    queued: bool = Field(description="it waits")
    completed: bool = Field(description="it has ended")
    progress: float | None = Field(None, description="0 to 1")
    eta: float | None = Field(None, description="estimated seconds left")
    live_preview: str | None = Field(None, description="data URI, only when newer than id_live_preview")
    id_live_preview: int | None = Field(
        None, description="version of the preview; the client's own if none is newer, -1 when nothing runs"
    )
    textinfo: str | None = Field(None, description="what is being done, for people")


class PendingTasks(BaseModel):
    """The caller's tasks that wait."""

    size: int = Field(description="how many")
    tasks: list[str] = Field(description="the force_task_id of each, or the job's id")


def progress_router(jobs: JobService, tasks: TaskNames) -> APIRouter:
    """Routes around the running job. A caller sees and steers his own jobs only."""
    router = APIRouter(route_class=JsonRoute, tags=["progress"])

    @router.get("/sdapi/v1/progress")
    def progress(
        caller: Caller,
        skip_current_image: Annotated[bool, Query(description="leave the preview out")] = False,
    ) -> Progress:
        """How far the caller's running job is."""
        view = _running(jobs, caller.name)
        if view is None:
            return Progress(progress=0.0, eta_relative=0.0, state=ProgressState())
        wanted = jobs.wants(view.id)
        state = ProgressState(
            skipped=wanted.skip,
            interrupted=wanted.interrupt or wanted.cancel,
            job=f"scripts_{_tab(jobs, view)}",
            job_count=max(1, view.images_total),
            job_timestamp=time.strftime("%Y%m%d%H%M%S", time.localtime(view.started or view.created)),
            job_no=view.images_done,
            sampling_step=view.step,
            sampling_steps=view.steps,
        )
        preview = None if skip_current_image or view.preview is None else _base64(view.preview)
        return Progress(
            progress=max(0.01, view.progress),  # clients take 0 for "nothing runs"
            eta_relative=view.eta_seconds or 0.0,
            state=state,
            current_image=preview,
            textinfo=view.text or None,
        )

    @router.post("/sdapi/v1/interrupt")
    def interrupt(caller: Caller) -> dict[str, str]:
        """Stop the caller's running jobs and keep what is finished."""
        for view in jobs.active(caller.name):
            if view.started is not None:
                jobs.interrupt(view.id)
        return {}

    @router.post("/sdapi/v1/skip", responses=NULL_ANSWER)
    def skip(caller: Caller) -> None:
        """End the caller's current picture early and go on with the next."""
        for view in jobs.active(caller.name):
            jobs.skip(view.id)

    @router.post("/internal/progress")
    def internal_progress(asked: InternalProgressRequest, caller: Caller) -> InternalProgress:
        """Progress of a task that was started with ``force_task_id``, or of a job by its id."""
        task = asked.id_task or ""
        try:
            view = jobs.owned_view(tasks.job_id(caller.name, task) or task, caller.name)
        except NotFoundError:
            return _inactive("Waiting...")
        return _internal(view, asked, sum(each.state is JobState.QUEUED for each in jobs.active()))

    @router.get("/internal/pending-tasks")
    def pending_tasks(caller: Caller) -> PendingTasks:
        """The caller's jobs that wait."""
        names = tasks.names(caller.name)
        waiting = [
            names.get(view.id, view.id) for view in jobs.active(caller.name) if view.state is JobState.QUEUED
        ]
        return PendingTasks(size=len(waiting), tasks=waiting)

    return router


def _running(jobs: JobService, owner: str) -> JobView | None:
    """The owner's job on the device; if there is none, his first that waits."""
    active = jobs.active(owner)
    started = [view for view in active if view.started is not None]
    return next(iter(started or active), None)


def _tab(jobs: JobService, view: JobView) -> str:
    """Which of A1111's tabs a job belongs to."""
    frozen = json.loads(jobs.payload(view.id))
    return "img2img" if frozen.get("image_to_image") else "txt2img"


def _inactive(text: str, *, queued: bool = False, completed: bool = False) -> InternalProgress:
    return InternalProgress(
        active=False, queued=queued, completed=completed, id_live_preview=-1, textinfo=text
    )


def _internal(view: JobView, asked: InternalProgressRequest, waiting: int) -> InternalProgress:
    """What the page may show of a job; ``waiting`` is the number of everybody's jobs in the queue."""
    if view.state is JobState.QUEUED:
        return _inactive(f"In queue: {view.position}/{max(waiting, view.position)}", queued=True)
    if view.state.is_final:
        return _inactive("Waiting...", completed=True)
    shown: dict[str, str | int] = {
        "id_live_preview": -1 if asked.id_live_preview is None else asked.id_live_preview
    }
    is_newer = view.preview_version > (asked.id_live_preview or -1)
    if view.preview is not None and is_newer and asked.live_preview is not False:
        shown = {
            "live_preview": data_uri(view.preview),
            "id_live_preview": view.preview_version,
        }
    return InternalProgress.model_validate(
        {
            "active": True,
            "queued": False,
            "completed": False,
            "progress": view.progress,
            "eta": view.eta_seconds,
            "textinfo": view.text or None,
            **shown,
        }
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
