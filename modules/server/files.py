"""Finished pictures by unguessable id: only to their owner, only as pictures, the bytes untouched."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool

from modules.domain.principal import Principal
from modules.exceptions import NotFoundError
from modules.imaging.decode import picture_type
from modules.imaging.thumbnail import thumbnail_webp
from modules.jobs.service import JobService
from modules.server.answer_types import PICTURE_ANSWER
from modules.server.identity import Caller

__all__ = ["files_router", "owned_picture"]

_HEADERS = {
    "cache-control": "private, max-age=31536000, immutable",  # an id never names other bytes
    "content-security-policy": "default-src 'none'; sandbox",
}


def owned_picture(jobs: JobService, image_id: str, caller: Principal) -> Path:
    """Path of a picture of the caller.

    Raises:
        NotFoundError: unknown, somebody else's, or deleted; the answer is the same.
    """
    path = Path(jobs.image(image_id, caller.name).image.path)
    if not path.is_file():
        raise NotFoundError("id", "there is no such picture")
    return path


def files_router(jobs: JobService) -> APIRouter:
    """Route ``/files/<image id>``."""
    router = APIRouter(tags=["pictures"])

    @router.get("/files/{image_id}", response_class=FileResponse, responses=PICTURE_ANSWER)
    async def picture(
        image_id: str,
        caller: Caller,
        thumb: Annotated[
            int | None, Query(ge=16, le=1024, description="longest side of a small WebP version, in pixels")
        ] = None,
    ) -> Response:
        """One finished picture: the saved file with its metadata, or a small version."""
        path = await run_in_threadpool(owned_picture, jobs, image_id, caller)
        if thumb is not None:
            small = await run_in_threadpool(thumbnail_webp, path, thumb)
            return Response(small, media_type="image/webp", headers=_HEADERS)
        with path.open("rb") as file:
            kind = picture_type(file.read(12))
        return FileResponse(
            path,
            media_type=kind or "application/octet-stream",
            filename=path.name,
            content_disposition_type="inline" if kind else "attachment",
            headers=_HEADERS,
        )

    return router
