"""Watching a job: server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

from modules.domain.job import JobView
from modules.imaging.decode import data_uri
from modules.jobs.service import JobService
from modules.server.v1.models import job_model

__all__ = ["job_events"]

HEARTBEAT = 15.0  # seconds; shorter than the patience of proxies, and dead clients are noticed


async def job_events(jobs: JobService, job_id: str, *, previews: bool) -> AsyncIterator[bytes]:
    """Events ``job`` with the job as JSON until it has ended; ``preview`` with a data URI in between."""
    views = jobs.follow(job_id)
    pending = asyncio.ensure_future(_next(views))
    shown = 0
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT)
            if not done:
                yield b": still here\n\n"
                continue
            view = pending.result()
            if view is None:
                return
            if previews and view.preview is not None and view.preview_version > shown:
                shown = view.preview_version
                yield _preview_event(view.preview, shown)
            yield _job_event(view)
            pending = asyncio.ensure_future(_next(views))
    finally:
        pending.cancel()
        with suppress(asyncio.CancelledError):
            await pending


async def _next(views: AsyncIterator[JobView]) -> JobView | None:
    return await anext(views, None)


def _job_event(view: JobView) -> bytes:
    return f"event: job\nid: {view.version}\ndata: {job_model(view).model_dump_json()}\n\n".encode()


def _preview_event(preview: bytes, version: int) -> bytes:
    content = json.dumps({"preview_version": version, "image": data_uri(preview)})
    return f"event: preview\ndata: {content}\n\n".encode()
