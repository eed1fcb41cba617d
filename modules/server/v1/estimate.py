"""What a request would cost, before it is submitted: the line beside Generate."""

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from modules.domain.request import GenerationRequest
from modules.generation.estimate import Fit
from modules.generation.resolve import freeze_request, resolve
from modules.server.errors import ERROR_RESPONSES
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.services import Services, catalogs_of
from modules.submission import check_settings_allowed

__all__ = ["EstimateModel", "estimate_router", "estimated"]


class EstimateModel(BaseModel):
    """Memory and time of a job."""

    fit: Fit = Field(
        description="fits; splits: prompts run one after the other; tiles: decoded in tiles; offloads: "
        "networks take turns on the device"
    )
    bytes_needed: int = Field(description="peak of one picture beside the weights")
    bytes_free: int = Field(description="what the device has for it now")
    seconds: float | None = Field(description="of the job alone; null before the checkpoint was ever used")
    wait_seconds: float | None = Field(description="until it would begin, as far as the queue is known")
    jobs_ahead: int = Field(description="in the queue, of everybody")
    width: int = Field(description="pixels of a finished picture")
    height: int = Field(description="pixels of a finished picture")


def estimate_router(services: Services) -> APIRouter:
    """Route /api/v1/estimate."""
    router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["jobs"], responses=ERROR_RESPONSES)

    @router.post("/estimate")
    async def estimate(request: GenerationRequest, caller: Caller) -> EstimateModel:
        """What the job would need; nothing is queued."""
        check_settings_allowed(request.override_settings, caller)
        return await run_in_threadpool(estimated, services, request, caller.name)

    return router


def estimated(services: Services, request: GenerationRequest, owner: str) -> EstimateModel:
    """What a job would need.

    Raises:
        RequestError: it cannot be done; ``field`` names what is to blame.
    """
    plan = resolve(freeze_request(request, services.settings.current), catalogs_of(services))
    found = services.estimator.estimate(plan)
    ahead, wait = services.jobs.forecast(owner)
    return EstimateModel(
        fit=found.fit,
        bytes_needed=found.bytes_needed,
        bytes_free=found.bytes_free,
        seconds=found.seconds,
        wait_seconds=wait,
        jobs_ahead=ahead,
        width=found.pixels[0],
        height=found.pixels[1],
    )
