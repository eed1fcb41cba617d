"""Looking again at the folders, memory, and signs of life."""

import os
from pathlib import Path

import torch
from fastapi import APIRouter
from pydantic import BaseModel, Field, JsonValue

from modules.server.errors import require_admin
from modules.server.identity import Caller
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
        return Memory(ram=_ram(), cuda=_cuda())

    @router.post("/sdapi/v1/unload-checkpoint")
    def unload_checkpoint(caller: Caller) -> dict[str, str]:
        """Drop the models from memory; the next job loads what it needs."""
        require_admin(caller)
        services.models.unload()
        return {}

    @router.post("/sdapi/v1/reload-checkpoint")
    def reload_checkpoint(caller: Caller) -> dict[str, str]:
        """Accepted for A1111's clients: models are loaded when a job needs them."""
        require_admin(caller)
        return {}

    @router.get("/internal/ping")
    def ping() -> dict[str, str]:
        """A sign of life."""
        return {}

    return router


def _add_refresh(router: APIRouter, services: Services) -> None:
    @router.post("/sdapi/v1/refresh-checkpoints")
    def refresh_checkpoints() -> None:
        """Look for new checkpoints."""
        services.catalog.refresh()

    @router.post("/sdapi/v1/refresh-vae")
    def refresh_vae() -> None:
        """Look for new VAE files."""
        services.catalog.refresh()

    @router.post("/sdapi/v1/refresh-embeddings")
    def refresh_embeddings() -> None:
        """Look for new textual inversions."""
        services.embeddings.refresh()

    @router.post("/sdapi/v1/refresh-loras")
    def refresh_loras() -> None:
        """Look for new LoRAs."""
        services.networks.refresh()


def _ram() -> dict[str, JsonValue]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        page = os.sysconf("SC_PAGE_SIZE")
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * page
    except (OSError, ValueError):
        return {"error": "unavailable on this system"}
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return {"free": sizes["MemAvailable"], "used": used, "total": sizes["MemTotal"]}


def _cuda() -> dict[str, JsonValue]:
    if not torch.cuda.is_available():
        return {"error": "unavailable"}
    free, total = torch.cuda.mem_get_info()
    stats = torch.cuda.memory_stats()

    def pair(name: str) -> dict[str, JsonValue]:
        current = stats.get(f"{name}.all.current", 0)
        return {"current": current, "peak": stats.get(f"{name}.all.peak", 0)}

    return {
        "system": {"free": free, "used": total - free, "total": total},
        "active": pair("active_bytes"),
        "allocated": pair("allocated_bytes"),
        "reserved": pair("reserved_bytes"),
        "inactive": pair("inactive_split_bytes"),
        "events": {"retries": stats.get("num_alloc_retries", 0), "oom": stats.get("num_ooms", 0)},
    }
