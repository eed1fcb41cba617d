"""Numbers for monitoring, in Prometheus' text format, and reports of crashes; for administrators."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from modules.jobs.service import JobService
from modules.runtime.device import free_memory
from modules.server.crash_report import read_reports
from modules.server.errors import require_admin
from modules.server.identity import Caller
from modules.server.traffic import Traffic
from modules.services import Services

__all__ = ["CRASH_FOLDER", "metrics_router"]

CRASH_FOLDER = "crashes"  # below the data folder
_FORMAT = "text/plain; version=0.0.4; charset=utf-8"

Series = Mapping[str, float]  # labels as text, "" for none -> value


class CrashReport(BaseModel):
    """What was known when the server had died. Holds no secrets; fit to be pasted into an issue."""

    name: str = Field(description="of the file in the server's folder of crashes")
    text: str = Field(description="how it ended, at whose work, and the last lines of the log")


def metrics_router(services: Services, traffic: Traffic) -> APIRouter:
    """Routes ``/metrics`` and ``/api/v1/crashes``."""
    router = APIRouter(tags=["server"])
    begun = time.monotonic()

    @router.get("/metrics", response_class=PlainTextResponse)
    def metrics(caller: Caller) -> PlainTextResponse:
        """Numbers of queue, requests and memory, for Prometheus."""
        require_admin(caller)
        uptime = {"": time.monotonic() - begun}
        lines = [*_jobs(services.jobs), *_traffic(traffic), *_machine(services)]
        lines += _metric("studio_uptime_seconds", "gauge", "Time since this server started.", uptime)
        return PlainTextResponse("\n".join(lines) + "\n", media_type=_FORMAT)

    @router.get("/api/v1/crashes")
    def crashes(caller: Caller) -> list[CrashReport]:
        """Reports of the last times the server died, newest first."""
        require_admin(caller)
        folder = services.options.folders.data / CRASH_FOLDER
        return [CrashReport(name=name, text=text) for name, text in read_reports(folder)]

    return router


def _metric(name: str, kind: str, text: str, series: Series) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in series.items():
        yield f"{name}{labels} {value:.10g}"


def _jobs(jobs: JobService) -> Iterator[str]:
    totals = jobs.totals()
    by_state = {f'{{state="{state}"}}': float(count) for state, count in totals.by_state.items()}
    yield from _metric("studio_jobs", "gauge", "Jobs by state.", by_state)
    yield from _metric("studio_pictures", "gauge", "Finished pictures.", {"": totals.pictures})
    yield from _metric(
        "studio_device_seconds_total", "counter", "Device time given to jobs.", {"": totals.device_seconds}
    )


def _traffic(traffic: Traffic) -> Iterator[str]:
    answers, seconds = traffic.counts()
    by_status = {f'{{status="{status}"}}': float(count) for status, count in sorted(answers.items())}
    yield from _metric("studio_requests_total", "counter", "Answered requests by status.", by_status)
    yield from _metric(
        "studio_request_seconds_total", "counter", "Time to the first byte of answers.", {"": seconds}
    )


def _machine(services: Services) -> Iterator[str]:
    crashes = len(list(read_reports(services.options.folders.data / CRASH_FOLDER)))
    yield from _metric("studio_crash_reports", "gauge", "Reports of crashes that are kept.", {"": crashes})
    free = {"": float(free_memory(services.models.runtime.device))}
    yield from _metric("studio_device_free_bytes", "gauge", "Memory the device has left.", free)
    status = Path("/proc/self/status")
    if status.exists():
        resident = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        bytes_used = {"": float(resident.split()[1]) * 1024}
        yield from _metric("process_resident_memory_bytes", "gauge", "Memory of the server.", bytes_used)
