"""Several pictures in one file."""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Annotated, Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from modules.domain.principal import Principal
from modules.imaging.archive import pack_pictures
from modules.jobs.service import JobService
from modules.server.errors import ERROR_RESPONSES
from modules.server.files import owned_picture
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute

__all__ = ["downloads_router"]

MAX_PICTURES = 1000
_IN_MEMORY = 32 * 2**20  # bytes; a larger archive waits in a temporary file
_CHUNK = 2**20
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {}}, "description": "a zip file of the pictures and their texts"}
}


class Selection(BaseModel):
    """Pictures to be packed."""

    ids: Annotated[list[str], Field(min_length=1, max_length=MAX_PICTURES)] = Field(
        description="ids of own pictures, as jobs list them", examples=[["0bX5cF2hT0iKqG7mZp3Y1w"]]
    )


def downloads_router(jobs: JobService) -> APIRouter:
    """Route ``/api/v1/pictures/zip``."""
    router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["pictures"], responses=ERROR_RESPONSES)

    @router.post("/pictures/zip", response_class=StreamingResponse, responses=_ZIP)
    def download_zip(selection: Selection, caller: Caller) -> StreamingResponse:
        """A zip file of own pictures, with their text files where there are some."""
        packed = _packed(jobs, selection.ids, caller)
        size = packed.seek(0, 2)
        name = f"pictures-{datetime.now().astimezone():%Y%m%d%H%M%S}.zip"
        headers = {"content-disposition": f'attachment; filename="{name}"', "content-length": str(size)}
        return StreamingResponse(_chunks(packed), media_type="application/zip", headers=headers)

    return router


def _packed(jobs: JobService, ids: list[str], caller: Principal) -> IO[bytes]:
    paths = [owned_picture(jobs, image_id, caller) for image_id in dict.fromkeys(ids)]
    out = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it was sent
    try:
        pack_pictures(paths, out)
    except BaseException:
        out.close()
        raise
    return out


def _chunks(packed: IO[bytes]) -> Iterator[bytes]:
    with packed:
        packed.seek(0)
        while chunk := packed.read(_CHUNK):
            yield chunk
