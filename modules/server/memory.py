"""Memory of the machine and of the device, in bytes."""

import os
from pathlib import Path

import torch
from pydantic import JsonValue

__all__ = ["device_memory", "machine_memory"]


def machine_memory() -> dict[str, JsonValue]:
    """What is free, used by this process, and there in all; or ``error``."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        page = os.sysconf("SC_PAGE_SIZE")
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * page
    except (OSError, ValueError):
        return {"error": "unavailable on this system"}
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return {"free": sizes["MemAvailable"], "used": used, "total": sizes["MemTotal"]}


def device_memory() -> dict[str, JsonValue]:
    """A1111's counters of a CUDA device; or ``error``."""
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
