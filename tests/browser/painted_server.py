"""The page over services without a model: ``python painted_server.py PORT FOLDER STEP_SECONDS``."""

import sys
from pathlib import Path
from typing import cast

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.middleware.base import RequestResponseEndpoint

from modules.domain.principal import LOCAL
from modules.server.app import include_routes
from modules.server.startup import StartupTimes
from modules.webui.mount import mount
from tests.webui.fake_services import MemoryBlobs, PaintingRunner, fake_services


def serve(port: int, root: Path, step_seconds: float) -> None:
    """Serve until killed."""
    services = fake_services(root)
    app = FastAPI(docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def know_the_caller(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.state.principal = LOCAL
        return await call_next(request)

    include_routes(app, services, StartupTimes())
    mount(app, services)
    services.jobs.recover()
    PaintingRunner(
        services.jobs,
        services.options.folders.outputs,
        step_seconds=step_seconds,
        blobs=cast("MemoryBlobs", services.blobs),
    ).start()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
