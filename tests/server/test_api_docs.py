"""Every route is on the page that describes the API."""

import re
from dataclasses import replace
from pathlib import Path

from modules.server.app import create_app
from modules.server.lifecycle import Lifecycle
from tests.server.studio import Studio

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def documented_paths() -> set[str]:
    """Paths in backticks; in "`/sdapi/v1/a`, `/b`" the second stands for its sibling of the first."""
    paths: set[str] = set()
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        folder = ""
        for path in re.findall(r"`(?:GET |POST )?(/[^`? ]+)`", line):
            is_whole = path.startswith(
                ("/sdapi", "/internal", "/api", "/app_id", "/languages", "/sd_extra", "/files", "/health")
            )
            paths.add(path if is_whole else folder + path)
            folder = path.rpartition("/")[0] if is_whole else folder
    return paths


def test_every_route_is_described_and_every_description_has_its_route(studio: Studio) -> None:
    options = replace(studio.services.options, api_server_stop=True)
    app = create_app(replace(studio.services, options=options), studio.access, Lifecycle())
    routes = set(app.openapi()["paths"])
    described = documented_paths() - {"/sdapi/v1", "/api/v1", "/internal", "/openapi.json", "/login"}
    assert routes - described == set()
    assert {path for path in described if path.startswith(("/sdapi", "/api", "/internal"))} - routes == set()
