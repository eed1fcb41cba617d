"""Looking again at the folders, and memory."""

from fastapi import APIRouter
from pydantic import BaseModel, Field, JsonValue

from modules.server.answer_types import NULL_ANSWER
from modules.server.errors import require_admin
from modules.server.identity import Caller
from modules.server.memory import device_memory, machine_memory
from modules.services import Services

__all__ = ["maintenance_router"]


class Memory(BaseModel):
    """Memory in bytes."""

    ram: dict[str, JsonValue] = Field(description="free, used and total of the machine, or error")
    cuda: dict[str, JsonValue] = Field(description="of the device, or error where there is none")


def maintenance_router(services: Services) -> APIRouter:
    """Routes that keep the server in shape."""
    router = APIRouter(tags=["server"])
    _add_refresh(router, services)

    @router.get("/sdapi/v1/memory")
    def memory() -> Memory:
        """How much memory is used."""
        return Memory(ram=machine_memory(), cuda=device_memory())

    @router.post("/sdapi/v1/unload-checkpoint")
    def unload_checkpoint(caller: Caller) -> dict[str, str]:
        """Drop the models from memory; the next job loads what it needs."""
        require_admin(caller)
        services.models.unload()
        services.reuse.clear()
        return {}

    @router.post("/sdapi/v1/reload-checkpoint")
    def reload_checkpoint(caller: Caller) -> dict[str, str]:
        """Accepted for A1111's clients: models are loaded when a job needs them."""
        require_admin(caller)
        return {}

    return router


def _add_refresh(router: APIRouter, services: Services) -> None:
    @router.post("/sdapi/v1/refresh-checkpoints", responses=NULL_ANSWER)
    def refresh_checkpoints() -> None:
        """Look for new checkpoints and upscalers."""
        services.catalog.refresh()
        services.upscalers.refresh()

    @router.post("/sdapi/v1/refresh-vae", responses=NULL_ANSWER)
    def refresh_vae() -> None:
        """Look for new VAE files."""
        services.catalog.refresh()

    @router.post("/sdapi/v1/refresh-embeddings", responses=NULL_ANSWER)
    def refresh_embeddings() -> None:
        """Look for new textual inversions."""
        services.embeddings.refresh()

    @router.post("/sdapi/v1/refresh-loras", responses=NULL_ANSWER)
    def refresh_loras() -> None:
        """Look for new LoRAs."""
        services.networks.refresh()
