"""POST txt2img and img2img: submit, wait, answer with the pictures."""

import asyncio
import logging

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from modules.domain.job import JobState, JobView, Lasting
from modules.domain.principal import Principal
from modules.domain.request import GenerationRequest
from modules.exceptions import NotFoundError
from modules.jobs.service import JobService
from modules.server.compression import ALREADY_COMPRESSED
from modules.server.errors import ERROR_RESPONSES, JobFailedError
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.server.sdapi.from_infotext import filled_from_infotext
from modules.server.sdapi.payloads import (
    GenerationResponse,
    ImageToImagePayload,
    Payload,
    TextToImagePayload,
)
from modules.server.sdapi.results import generation_answer
from modules.server.sdapi.scripts import check_scripts
from modules.server.sdapi.tasks import TaskNames
from modules.server.sdapi.translate import image_to_image_request, parameters_echo, text_to_image_request
from modules.services import Services, catalogs_of
from modules.submission import submit_request

__all__ = ["generation_router"]

log = logging.getLogger(__name__)


def generation_router(services: Services, tasks: TaskNames) -> APIRouter:
    """Routes that make pictures. They block until the job has ended, as A1111's do."""
    router = APIRouter(
        route_class=JsonRoute,
        tags=["generation"],
        responses=ERROR_RESPONSES,
    )

    @router.post("/sdapi/v1/txt2img", response_model=GenerationResponse)
    async def txt2img(payload: TextToImagePayload, request: Request, caller: Caller) -> Response:
        """Make pictures from text."""
        return await _generate(services, tasks, payload, request, caller)

    @router.post("/sdapi/v1/img2img", response_model=GenerationResponse)
    async def img2img(payload: ImageToImagePayload, request: Request, caller: Caller) -> Response:
        """Make pictures from pictures and text; with a mask, change only a part."""
        return await _generate(services, tasks, payload, request, caller)

    return router


async def _generate(
    services: Services, tasks: TaskNames, payload: Payload, request: Request, caller: Principal
) -> Response:
    payload, job_id = await run_in_threadpool(_submit, services, payload, caller)
    if payload.force_task_id:
        tasks.remember(caller.name, payload.force_task_id, job_id)
    view = await _final_view(services.jobs, job_id, request, keep=bool(payload.save_images))
    if view.state is JobState.FAILED:
        raise JobFailedError(view.error or "the job failed", view.error_kind, view.error_field)
    images = () if payload.send_images is False else view.images
    settings = services.settings.current.overridden(payload.override_settings or {})
    content = await run_in_threadpool(
        generation_answer, images, settings, parameters_echo(payload), view.info or "{}", services.blobs.read
    )
    return Response(content, media_type="application/json", headers=ALREADY_COMPRESSED)


def _submit(services: Services, payload: Payload, caller: Principal) -> tuple[Payload, str]:
    """Queue the request; returns it as it is carried out and repeated in the answer, and the job's id."""
    if payload.script_name or payload.alwayson_scripts:
        check_scripts(services.plugins.scripts, payload)
    payload = filled_from_infotext(payload, services.settings.current, catalogs_of(services))
    request = _request(services, _without_unknown_checkpoint(services, payload))
    # nothing is acknowledged before the pictures are there, and they are in the answer if nothing is kept
    lasting: Lasting = "pictures" if request.save_images else "nothing"
    return payload, submit_request(services, request, caller, lasting=lasting)


def _without_unknown_checkpoint(services: Services, payload: Payload) -> Payload:
    """As in A1111, settings that ask for a checkpoint that is not here leave the one in use."""
    settings = payload.override_settings or {}
    wanted = settings.get("sd_model_checkpoint")
    if not isinstance(wanted, str):
        return payload
    try:
        services.catalog.find_checkpoint(wanted)
    except NotFoundError:
        log.info("sd_model_checkpoint %.60r of a request is not here; the one in use is taken", wanted)
        known = {key: value for key, value in settings.items() if key != "sd_model_checkpoint"}
        return payload.model_copy(update={"override_settings": known})
    return payload


def _request(services: Services, payload: Payload) -> GenerationRequest:
    if isinstance(payload, ImageToImagePayload):
        # as in A1111, the request's own override_settings come too late for this one
        saved = services.settings.current.initial_noise_multiplier
        multiplier = saved if payload.initial_noise_multiplier is None else payload.initial_noise_multiplier
        return image_to_image_request(
            payload.model_copy(update={"initial_noise_multiplier": multiplier}), services.blobs
        )
    if isinstance(payload, TextToImagePayload):
        return text_to_image_request(payload)
    raise TypeError(type(payload).__name__)


async def _final_view(jobs: JobService, job_id: str, request: Request, *, keep: bool) -> JobView:
    """Wait for the end. A client that leaves and keeps nothing gives the device back."""
    last = asyncio.ensure_future(jobs.ended(job_id))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((last, gone), return_when=asyncio.FIRST_COMPLETED)
        if not last.done() and not keep:
            await run_in_threadpool(jobs.cancel, job_id)
        return await last
    finally:
        last.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
