"""The page over services without a model: ``python painted_server.py PORT FOLDER STEP_SECONDS``."""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse

from modules.domain.languages import LanguageCatalog
from modules.server.languages import languages_router
from modules.webui.mount import mount
from tests.webui.fake_services import PaintingRunner, fake_services


def serve(port: int, root: Path, step_seconds: float) -> None:
    """Serve until killed."""
    services = fake_services(root)
    app = FastAPI(docs_url=None, redoc_url=None)

    @app.get("/files/{image_id}")
    def picture(image_id: str) -> FileResponse:
        return FileResponse(services.jobs.image(image_id).image.path, media_type="image/png")

    app.include_router(languages_router(LanguageCatalog()))
    mount(app, services)
    PaintingRunner(services.jobs, services.options.folders.outputs, step_seconds=step_seconds).start()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
