"""The studio as one process with the reference's models, reached through its HTTP API."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from modules.app import create_services
from modules.server.access import Access, HostRule
from modules.server.accounts import AccountStore
from modules.server.app import create_app
from modules.settings.launch import Folders, LaunchOptions
from tests.golden.cases import Case, read_picture
from tests.golden.compare import Verdict, compare

__all__ = ["golden_studio", "run_case"]

ADDRESS = "http://127.0.0.1:7860"
THREADS = 1  # the networks are so small that a second thread costs more than it brings


@contextmanager
def golden_studio(models: Path, data: Path) -> Iterator[TestClient]:
    """A running studio.

    Args:
        models: folder with ``models/``, ``embeddings/`` and ``styles.csv`` (see ``weights.py``).
        data: empty folder for everything that the studio writes.
    """
    folders = Folders(
        data=data / "data",
        models=models / "models",
        outputs=data / "outputs",
        embeddings=models / "embeddings",
        extensions=data / "extensions",
    )
    folders.data.mkdir()
    (data / "styles.csv").write_bytes((models / "styles.csv").read_bytes())
    options = LaunchOptions(
        folders=folders, api=True, open_browser=False, device="cpu", precision="full", threads=THREADS
    )
    services = create_services(options)
    access = Access(
        AccountStore(folders.data / "accounts.sqlite3"), HostRule(frozenset({"127.0.0.1"})), api_open=True
    )
    services.runner.start()
    try:
        with TestClient(
            create_app(services, access), base_url=ADDRESS, client=("127.0.0.1", 50000)
        ) as client:
            yield client
    finally:
        services.runner.stop()


def run_case(client: TestClient, case: Case) -> Verdict:
    """Send the case's request and compare the answer."""
    answer = client.post(case.endpoint, json=case.request)
    if answer.status_code != 200:
        return Verdict(case, 255, 1.0, (f"HTTP {answer.status_code}: {answer.text[:300]}",))
    body: dict[str, Any] = answer.json()
    encoded = body["images"] if "images" in body else [body["image"]]
    info = json.loads(body["info"]) if "info" in body else {}
    pictures = [read_picture(base64.b64decode(one.partition(",")[2] or one)) for one in encoded]
    return compare(case, pictures, tuple(info.get("infotexts", ())))
