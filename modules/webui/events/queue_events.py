"""Putting a job behind those that run, and showing one that was chosen in the queue."""

import asyncio
from collections.abc import AsyncIterator, Callable

import gradio as gr

from modules.exceptions import NotFoundError, WebuiError
from modules.jobs.service import JobService
from modules.webui.events.submission import Submitter
from modules.webui.messages import explain
from modules.webui.owner import owner_of, visitor_of
from modules.webui.result.live import JobPicture, follow_job, notice_picture
from modules.webui.tab import GenerationTab

__all__ = ["QueueEvents"]


class QueueEvents:
    """Handlers of the queue's buttons."""

    def __init__(self, jobs: JobService, submitter: Submitter) -> None:
        self._jobs = jobs
        self._submitter = submitter

    def enqueue(self, tab: GenerationTab) -> Callable[..., list[object]]:
        """Submit the tab's form and leave in its gallery what is there; a refusal is shown as always."""

        def enqueue(request: gr.Request, *sent: object) -> list[object]:
            try:
                job_ids = self._submitter.submit(tab, tab.form.values(sent), visitor_of(request))
            except WebuiError as error:
                notice = explain(error)
                field = str(tab.form[notice.field].elem_id) if notice.field in tab.form else ""
                return [notice_picture(notice.text, field), gr.skip()]
            return [gr.skip(), " ".join(job_ids)]

        return enqueue

    async def show(self, job_id: str, request: gr.Request) -> AsyncIterator[JobPicture]:
        """Follow a job of the visitor's."""
        try:
            view = await asyncio.to_thread(self._jobs.owned_view, job_id, owner_of(request))
        except NotFoundError:
            return
        async for picture in follow_job(self._jobs, view.id):
            yield picture
