from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from modules.services import Services
from modules.webui.mount import mount

SECRET = "the secret of the machine"


@pytest.fixture(scope="module")
def client(standing: Services) -> Iterator[TestClient]:
    app = FastAPI(docs_url=None, redoc_url=None)
    with TestClient(mount(app, standing)) as made:
        yield made


def call(client: TestClient, element: str, payload: object) -> tuple[int, str]:
    """Trigger the first event that takes this element alone, as a hostile client would."""
    config = client.get("/config").json()
    target = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == element)
    event = next(fn for fn in config["dependencies"] if fn["inputs"] == [target])
    body = {"data": [payload], "fn_index": event["id"], "session_hash": "abc", "event_id": "x"}
    answer = client.post("/gradio_api/run/predict", json=body)
    return answer.status_code, answer.text


def test_the_page_is_served(client: TestClient) -> None:
    assert "Diffusion Studio" in client.get("/").text


def test_the_page_names_no_other_machine(client: TestClient) -> None:
    served = client.get("/").text.split("window.gradio_config")[0]
    assert "fonts.googleapis" not in served
    assert 'src="http' not in served


@pytest.mark.parametrize("path", ["/gradio_api/runs", "/monitoring"])
def test_gradios_extra_pages_are_off(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in {403, 404} or "Diffusion Studio" in answer.text


def test_no_file_of_the_machine_can_be_had_by_naming_its_path(client: TestClient, standing: Services) -> None:
    secret = standing.options.folders.data.parent / "secret.txt"
    secret.write_text(SECRET, encoding="utf-8")
    payload = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    assert SECRET not in call(client, "txt2img_prompt_image", payload)[1]
    copies = standing.options.folders.data / "uploads"
    assert [path for path in copies.rglob("*") if path.is_file() and SECRET in path.read_text("utf-8")] == []
    assert client.get(f"/gradio_api/file={secret}").status_code == 403


def test_uploads_stay_in_the_private_data_folder(client: TestClient, standing: Services) -> None:
    answer = client.post("/gradio_api/upload", files={"files": ("../../evil.png", b"x")})
    path = answer.json()[0]
    folder = standing.options.folders.data / "uploads"
    assert path.startswith(str(folder))
    assert folder.stat().st_mode & 0o077 == 0


def test_whoever_the_server_does_not_know_gets_nothing(services: Services) -> None:
    app = mount(FastAPI(), services, current_user=lambda request: None)
    with TestClient(app) as client:
        assert client.get("/").status_code == 401
        assert client.get("/config").status_code == 401
