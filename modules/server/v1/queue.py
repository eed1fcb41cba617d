"""The caller's jobs at a glance: light enough to be asked for every second while something runs."""

import json
from collections import OrderedDict
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, ValidationError

from modules.domain.job import JobState, JobView
from modules.jobs.service import JobService
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute

__all__ = ["queue_router"]

RECENT = 5  # jobs that have ended and are still shown
PROMPT_LENGTH = 200  # characters; a line and a tooltip
REMEMBERED = 1000  # jobs whose prompts are kept in memory

Task = Literal["txt2img", "img2img", "inpaint", "training"]


class QueuedJob(BaseModel):
    """One line of the queue."""

    id: str = Field(description="of the job")
    task: Task = Field(description="what is made")
    prompt: str = Field(description="its beginning")
    state: JobState = Field(description="where it is in its life")
    position: int = Field(description="place in the queue, 1 is next; 0 when not waiting")
    progress: float = Field(description="0 to 1 over the whole job")
    step: int = Field(description="sampling step of the current picture")
    steps: int = Field(description="sampling steps of a picture")
    images_done: int = Field(description="finished pictures")
    images_total: int = Field(description="pictures in all")
    eta_seconds: float | None = Field(description="estimated time left")
    error: str | None = Field(description="one sentence when it failed")
    image: str = Field(description="id of its first finished picture, empty before")


class QueueModel(BaseModel):
    """Jobs that have not ended in the order in which they are done, then those that ended last."""

    active: list[QueuedJob] = Field(description="own jobs that have not ended")
    ended: list[QueuedJob] = Field(description="own jobs that ended last, the newest first")


class _Prompts:
    """What frozen requests ask for, remembered: they never change."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs
        self._known: OrderedDict[str, tuple[Task, str]] = OrderedDict()

    def of(self, job_id: str) -> tuple[Task, str]:
        """Task and beginning of the prompt."""
        if job_id not in self._known:
            self._known[job_id] = self._read(job_id)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[job_id]

    def _read(self, job_id: str) -> tuple[Task, str]:
        try:
            request = self._jobs.request(job_id)
        except ValidationError:
            said = json.loads(self._jobs.payload(job_id))
            recipe = said.get("recipe", said)  # of one that goes on; of one that was begun anew
            return "training", str(recipe.get("name", ""))[:PROMPT_LENGTH]
        start = request.image_to_image
        task: Task = "txt2img" if start is None else "img2img" if start.mask is None else "inpaint"
        return task, request.prompt[:PROMPT_LENGTH]


def queue_router(jobs: JobService) -> APIRouter:
    """Route /api/v1/queue."""
    router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["jobs"])
    prompts = _Prompts(jobs)

    @router.get("/queue")
    def queue(caller: Caller) -> QueueModel:
        """The caller's jobs: running, waiting, paused, and the last that ended."""
        active = sorted(jobs.active(caller.name), key=_place)
        ended = [view for view in jobs.recent(caller.name, RECENT + len(active)) if view.state.is_final]
        return QueueModel(
            active=[_line(view, *prompts.of(view.id)) for view in active],
            ended=[_line(view, *prompts.of(view.id)) for view in ended[:RECENT]],
        )

    return router


def _place(view: JobView) -> tuple[bool, bool, int, float]:
    """Running ones first, then those that wait in their order, then paused ones that have not begun."""
    held = view.state is JobState.PAUSED and view.started is None
    return view.state is JobState.QUEUED, held, view.position, view.created


def _line(view: JobView, task: Task, prompt: str) -> QueuedJob:
    return QueuedJob(
        id=view.id,
        task=task,
        prompt=prompt,
        state=view.state,
        position=view.position,
        progress=view.progress,
        step=view.step,
        steps=view.steps,
        images_done=view.images_done,
        images_total=view.images_total,
        eta_seconds=view.eta_seconds,
        error=view.error,
        image=next((image.id for image in view.images if image.index >= 0), ""),
    )
