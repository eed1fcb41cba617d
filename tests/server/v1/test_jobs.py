import asyncio
import io
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from modules.domain.principal import LOCAL, Principal
from tests.server.studio import Studio, open_studio
from tests.stub_runner import read_stub_picture

JOBS = "/api/v1/jobs"
ANN, BOB = ("ann", "ann password"), ("bob", "bob password")
SMALL: dict[str, Any] = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64, "seed": 5}
SLOW: dict[str, Any] = {**SMALL, "steps": 1000}


def open_shared(
    root: Path, *, start: bool = True, step_seconds: float = 0.0
) -> AbstractContextManager[Studio]:
    return open_studio(root, start=start, step_seconds=step_seconds, basic=dict([ANN, BOB]))


async def ended(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    for _ in range(1000):
        job: dict[str, Any] = (await client.get(f"{JOBS}/{job_id}")).json()
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        await asyncio.sleep(0.01)
    raise AssertionError(job)


async def beyond_step(client: httpx.AsyncClient, url: str, step: int) -> None:
    for _ in range(1000):
        if (await client.get(url)).json()["step"] > step:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(url)


async def events(
    client: httpx.AsyncClient, job_id: str, *, previews: bool = True
) -> list[tuple[str, dict[str, Any]]]:
    answer = await client.get(f"{JOBS}/{job_id}/events", params={"previews": previews})
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_a_job_is_submitted_watched_and_its_picture_fetched(studio: Studio) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        client.headers["cookie"] = f"{studio.access.cookie}={session}"
        answer = await client.post(JOBS, json={**SMALL, "batch_size": 2})
        assert answer.status_code == 201
        job_id = answer.json()["id"]
        seen = await events(client, job_id)
        assert {name for name, _ in seen} == {"job", "preview"}
        job = seen[-1][1]
        assert (job["state"], job["progress"], job["images_done"]) == ("done", 1.0, 2)
        for image in job["images"]:
            content = (await client.get(image["url"])).content
            assert read_stub_picture(content) == (job_id, 5 + image["index"])
        assert (await client.get(JOBS)).json()[0]["id"] == job_id
        again = (await client.get(f"{JOBS}/{job_id}/request")).json()
        assert (await client.post(JOBS, json=again)).status_code == 201

    session = studio.access.accounts.open_session(LOCAL)
    studio.run(story)


def test_previews_are_sent_only_when_wanted(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        client.auth = httpx.BasicAuth(*ANN)
        job_id = (await client.post(JOBS, json=SMALL)).json()["id"]
        assert {name for name, _ in await events(client, job_id, previews=False)} == {"job"}

    with open_shared(tmp_path) as studio:
        studio.run(story)


def test_a_running_job_is_paused_resumed_and_interrupted(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        client.auth = httpx.BasicAuth(*ANN)
        url = f"{JOBS}/{(await client.post(JOBS, json=SLOW)).json()['id']}"
        await beyond_step(client, url, 0)
        assert (await client.get(f"{url}/preview")).content.startswith(b"\xff\xd8")
        assert (await client.post(f"{url}/pause")).json()["state"] == "paused"
        await asyncio.sleep(0.1)
        held = (await client.get(url)).json()["step"]
        await asyncio.sleep(0.1)
        assert (await client.get(url)).json()["step"] == held
        assert (await client.post(f"{url}/resume")).json()["state"] == "running"
        await beyond_step(client, url, held)
        await client.post(f"{url}/interrupt")
        assert (await ended(client, url.removeprefix(f"{JOBS}/")))["state"] == "done"

    with open_shared(tmp_path, step_seconds=0.002) as studio:
        studio.run(story)


def test_a_picture_is_skipped_and_the_next_one_made(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        client.auth = httpx.BasicAuth(*ANN)
        url = f"{JOBS}/{(await client.post(JOBS, json={**SLOW, 'n_iter': 2})).json()['id']}"
        for _ in range(2):
            await beyond_step(client, url, 0)
            assert (await client.post(f"{url}/skip")).status_code == 200
        job = await ended(client, url.removeprefix(f"{JOBS}/"))
        assert (job["state"], job["images_done"]) == ("done", 2)

    with open_shared(tmp_path, step_seconds=0.002) as studio:
        studio.run(story)


def test_waiting_jobs_are_reordered_and_cancelled(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        client.auth = httpx.BasicAuth(*ANN)
        ids = [(await client.post(JOBS, json=SMALL)).json()["id"] for _ in range(3)]
        order = [ids[2], ids[0], ids[1]]
        moved = {
            job["id"]: job["position"]
            for job in (await client.post(f"{JOBS}/order", json={"ids": order})).json()
        }
        assert sorted(moved, key=lambda job_id: moved[job_id]) == order
        assert (await client.post(f"{JOBS}/{ids[1]}/cancel")).json()["state"] == "cancelled"
        assert (await client.post(f"{JOBS}/{ids[1]}/resume")).json()["state"] == "cancelled"

    with open_shared(tmp_path, start=False) as studio:
        studio.run(story)


def test_for_everybody_else_a_job_does_not_exist(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        job_id = (await client.post(JOBS, json=SMALL, auth=ANN)).json()["id"]
        routes = [("GET", ""), ("GET", "/request"), ("GET", "/preview"), ("GET", "/events")]
        routes += [("POST", f"/{verb}") for verb in ("pause", "resume", "skip", "interrupt", "cancel")]
        for method, rest in routes:
            strangers = await client.request(method, f"{JOBS}/{job_id}{rest}", auth=BOB)
            unknown = await client.request(method, f"{JOBS}/{'0' * 32}{rest}", auth=BOB)
            assert strangers.status_code == unknown.status_code == 404, rest
            assert strangers.content == unknown.content
        assert (await client.get(JOBS, auth=BOB)).json() == []
        assert (await client.post(f"{JOBS}/order", json={"ids": [job_id]}, auth=BOB)).json() == []
        assert (await client.get(f"{JOBS}/{job_id}", auth=ANN)).json()["state"] == "queued"

    with open_shared(tmp_path, start=False) as studio:
        studio.run(story)


def test_an_uploaded_picture_can_be_started_from(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 16)).save(buffer, "PNG")

    async def story(client: httpx.AsyncClient) -> None:
        client.auth = httpx.BasicAuth(*ANN)
        uploaded = (await client.post("/api/v1/pictures", content=buffer.getvalue())).json()
        assert (uploaded["width"], uploaded["height"]) == (24, 16)
        request = {**SMALL, "image_to_image": {"images": [uploaded["id"]]}}
        answer = await client.post(JOBS, json=request)
        assert answer.status_code == 201, answer.text
        refused = await client.post("/api/v1/pictures", content=b"plain text")
        assert refused.status_code == 422
        unknown = {**SMALL, "image_to_image": {"images": ["0" * 64]}}
        assert (await client.post(JOBS, json=unknown)).status_code == 404

    with open_shared(tmp_path) as studio:
        studio.run(story)


@pytest.mark.parametrize(
    ("changes", "status", "word"),
    [
        ({"steps": 0}, 422, "steps"),
        ({"width": 65}, 422, "width"),
        ({"colour": "red"}, 422, "colour"),
        ({"sampler_name": "Dreams"}, 404, "sampler_name"),
        ({"checkpoint": "no such model"}, 404, "checkpoint"),
        ({"width": 8192, "height": 8192}, 422, "pixels"),
    ],
)
def test_an_impossible_request_is_refused_before_it_waits(
    tmp_path: Path, changes: dict[str, Any], status: int, word: str
) -> None:
    with open_shared(tmp_path, start=False) as studio:
        answer = studio.post(JOBS, {**SMALL, **changes}, auth=ANN)
        assert answer.status_code == status
        assert word in answer.text
        assert studio.get(JOBS, auth=ANN).json() == []


def test_an_artist_sees_no_settings_of_the_server_and_can_submit_again(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        client.headers["cookie"] = f"{studio.access.cookie}={session}"
        job_id = (await client.post(JOBS, json=SMALL)).json()["id"]
        again = (await client.get(f"{JOBS}/{job_id}/request")).json()
        assert again["override_settings"] == {"jpeg_quality": 70}
        assert (await client.post(JOBS, json=again)).status_code == 201

    with open_studio(tmp_path) as studio:
        studio.services.settings.update({"outdir_samples": str(tmp_path / "kept"), "jpeg_quality": 70})
        session = studio.access.accounts.open_session(Principal("ann", "artist"))
        studio.run(story)
