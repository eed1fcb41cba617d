"""Routes of /api/v1. Every job and picture is its owner's; for others it does not exist."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from modules.domain.request import GenerationRequest
from modules.exceptions import NotFoundError
from modules.imaging.blobs import BlobStore
from modules.imaging.decode import load_image, picture_type
from modules.server.answer_types import PICTURE_ANSWER, Responses
from modules.server.errors import ERROR_RESPONSES
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.server.v1.events import job_events
from modules.server.v1.models import JobModel, Order, Place, Uploaded, job_model
from modules.services import Services
from modules.submission import submit_request, without_server_settings

__all__ = ["jobs_router"]

_EVENT_STREAM: Responses = {
    200: {"content": {"text/event-stream": {}}, "description": "events job and preview"}
}
_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def jobs_router(services: Services) -> APIRouter:
    """Routes under /api/v1."""
    router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["jobs"], responses=ERROR_RESPONSES)
    _add_submission(router, services)
    _add_watching(router, services)
    _add_steering(router, services)
    return router


def _add_submission(router: APIRouter, services: Services) -> None:
    @router.post("/jobs", status_code=201)
    async def submit(request: GenerationRequest, caller: Caller) -> JobModel:
        """Queue a request and return at once."""
        job_id = await run_in_threadpool(submit_request, services, request, caller)
        return job_model(services.jobs.view(job_id))

    @router.post("/pictures", status_code=201, openapi_extra=_FILE_BODY)
    async def upload(request: Request) -> Uploaded:
        """Store a picture (the file itself is the body) for use in image_to_image."""
        return await run_in_threadpool(_stored, services.blobs, await request.body())


def _stored(blobs: BlobStore, content: bytes) -> Uploaded:
    image = load_image(content, field="picture")
    return Uploaded(id=blobs.put(content), width=image.width, height=image.height)


def _add_watching(router: APIRouter, services: Services) -> None:
    jobs = services.jobs

    @router.get("/jobs")
    def list_jobs(
        caller: Caller, limit: Annotated[int, Query(ge=1, le=500, description="how many at most")] = 50
    ) -> list[JobModel]:
        """The caller's jobs, newest first."""
        return [job_model(view) for view in jobs.recent(caller.name, limit)]

    @router.get("/jobs/{job_id}")
    def get_job(job_id: str, caller: Caller) -> JobModel:
        """One job as it is now."""
        return job_model(jobs.owned_view(job_id, caller.name))

    @router.get("/jobs/{job_id}/request")
    def get_request(job_id: str, caller: Caller) -> GenerationRequest:
        """The frozen request; submitting it again makes the same pictures.

        Settings of the server, such as where files go, are told to administrators only.
        """
        jobs.owned_view(job_id, caller.name)
        request = jobs.request(job_id)
        return request if caller.is_admin else without_server_settings(request)

    @router.get("/jobs/{job_id}/preview", response_class=Response, responses=PICTURE_ANSWER)
    def get_preview(job_id: str, caller: Caller) -> Response:
        """The latest preview of a running job, in the format of the settings."""
        view = jobs.owned_view(job_id, caller.name)
        if view.preview is None:
            raise NotFoundError("job_id", "there is no preview of this job")
        kind = picture_type(view.preview[:12]) or "image/jpeg"
        return Response(view.preview, media_type=kind, headers={"cache-control": "no-store"})

    @router.get("/jobs/{job_id}/events", response_class=StreamingResponse, responses=_EVENT_STREAM)
    async def watch(
        job_id: str,
        caller: Caller,
        previews: Annotated[bool, Query(description="also send previews as data URIs")] = True,
    ) -> StreamingResponse:
        """Follow a job until it has ended."""
        view = await run_in_threadpool(jobs.owned_view, job_id, caller.name)
        events = job_events(jobs, view.id, previews=previews)
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"cache-control": "no-store"}
        )


def _add_steering(router: APIRouter, services: Services) -> None:
    jobs = services.jobs

    @router.post("/jobs/order")
    def reorder(order: Order, caller: Caller) -> list[JobModel]:
        """Let the caller's waiting jobs swap places; returns his active jobs."""
        jobs.reorder(caller.name, order.ids)
        return [job_model(view) for view in jobs.active(caller.name)]

    @router.post("/jobs/{job_id}/move")
    def move(job_id: str, to: Place, caller: Caller) -> list[JobModel]:
        """Put a waiting job at another place among the caller's; returns his active jobs."""
        jobs.move(jobs.owned_view(job_id, caller.name).id, to.place)
        return [job_model(view) for view in jobs.active(caller.name)]

    @router.post("/jobs/{job_id}/pause")
    def pause(job_id: str, caller: Caller) -> JobModel:
        """Hold a job: a waiting one is not begun, a running one keeps still where it is."""
        jobs.pause(jobs.owned_view(job_id, caller.name).id)
        return job_model(jobs.view(job_id))

    @router.post("/jobs/{job_id}/resume")
    def resume(job_id: str, caller: Caller) -> JobModel:
        """Let a paused job go on."""
        jobs.resume(jobs.owned_view(job_id, caller.name).id)
        return job_model(jobs.view(job_id))

    @router.post("/jobs/{job_id}/skip")
    def skip(job_id: str, caller: Caller) -> JobModel:
        """End the picture that is being made and go on with the next."""
        jobs.skip(jobs.owned_view(job_id, caller.name).id)
        return job_model(jobs.view(job_id))

    @router.post("/jobs/{job_id}/interrupt")
    def interrupt(job_id: str, caller: Caller) -> JobModel:
        """Stop and keep what is finished."""
        jobs.interrupt(jobs.owned_view(job_id, caller.name).id)
        return job_model(jobs.view(job_id))

    @router.post("/jobs/{job_id}/cancel")
    def cancel(job_id: str, caller: Caller) -> JobModel:
        """Stop the job, wherever it is."""
        jobs.cancel(jobs.owned_view(job_id, caller.name).id)
        return job_model(jobs.view(job_id))
