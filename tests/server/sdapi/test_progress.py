import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from modules.domain.job import JobState
from modules.domain.request import GenerationRequest, ImageToImage
from tests.server.studio import Studio, open_studio

TXT2IMG, PROGRESS = "/sdapi/v1/txt2img", "/sdapi/v1/progress"
SLOW: dict[str, Any] = {"steps": 1000, "width": 64, "height": 64, "seed": 5}


async def until(client: httpx.AsyncClient, condition: str) -> dict[str, Any]:
    """Poll as clients do until a key of the progress is truthy."""
    for _ in range(1000):
        body: dict[str, Any] = (await client.get(PROGRESS)).json()
        if {**body, **body["state"]}[condition]:
            return body
        await asyncio.sleep(0.01)
    raise AssertionError(condition)


def test_nothing_runs_at_first(studio: Studio) -> None:
    body = studio.get(PROGRESS).json()
    assert (body["progress"], body["eta_relative"], body["current_image"]) == (0, 0, None)
    assert body["state"]["job_count"] == 0


def test_a_running_job_shows_steps_and_preview_and_can_be_interrupted(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        running = asyncio.create_task(client.post(TXT2IMG, json={**SLOW, "n_iter": 3}))
        body = await until(client, "current_image")
        assert base64.b64decode(body["current_image"]).startswith(b"\xff\xd8")
        assert 0 < body["progress"] < 1
        assert body["state"]["job_count"] == 3
        assert 0 < body["state"]["sampling_step"] <= body["state"]["sampling_steps"] == 1000
        without = await client.get(PROGRESS, params={"skip_current_image": True})
        assert without.json()["current_image"] is None
        assert (await client.post("/sdapi/v1/interrupt")).json() == {}
        answer = await running
        assert answer.status_code == 200
        assert answer.json()["images"] == []

    with open_studio(tmp_path, step_seconds=0.002) as studio:
        studio.run(story)


def test_skipping_ends_one_picture_and_goes_on(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> int:
        running = asyncio.create_task(client.post(TXT2IMG, json={**SLOW, "n_iter": 2}))
        for done in (0, 1):
            await until(client, "job_no" if done else "sampling_step")
            assert (await client.post("/sdapi/v1/skip")).json() is None
        return len((await running).json()["images"])

    with open_studio(tmp_path, step_seconds=0.002) as studio:
        assert studio.run(story) == 2


def test_a_task_is_found_by_the_name_its_client_gave(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        task = "task(mine)"

        async def ask(**fields: object) -> dict[str, Any]:
            answer = await client.post("/internal/progress", json={"id_task": task, **fields})
            body: dict[str, Any] = answer.json()
            return body

        body = await ask()
        assert (body["textinfo"], body["id_live_preview"]) == ("Waiting...", -1)
        running = asyncio.create_task(client.post(TXT2IMG, json={**SLOW, "force_task_id": task}))
        await until(client, "current_image")
        body = await ask()
        assert (body["active"], body["queued"], body["completed"]) == (True, False, False)
        assert body["live_preview"].startswith("data:image/jpeg;base64,")
        newest = 10**6
        body = await ask(id_live_preview=newest)
        assert (body["live_preview"], body["id_live_preview"]) == (None, newest)
        await client.post("/sdapi/v1/interrupt")
        await running
        body = await ask()
        assert (body["active"], body["completed"], body["textinfo"]) == (False, True, "Waiting...")
        assert body["id_live_preview"] == -1

    with open_studio(tmp_path, step_seconds=0.002) as studio:
        studio.run(story)


def test_waiting_tasks_are_listed_with_their_place(tmp_path: Path) -> None:
    with open_studio(tmp_path, start=False) as studio:
        ids = [studio.services.jobs.submit(GenerationRequest(), "local") for _ in range(2)]
        assert studio.get("/internal/pending-tasks").json() == {"size": 2, "tasks": ids}
        body = studio.post("/internal/progress", {"id_task": ids[1]}).json()
        assert (body["queued"], body["textinfo"]) == (True, "In queue: 2/2")


def test_waiting_tasks_have_the_names_that_their_clients_gave(tmp_path: Path) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        task = "task(mine)"
        waiting = asyncio.create_task(client.post(TXT2IMG, json={**SLOW, "force_task_id": task}))
        for _ in range(1000):
            listed = (await client.get("/internal/pending-tasks")).json()
            if listed["tasks"] == [task]:
                break
            await asyncio.sleep(0.01)
        assert listed == {"size": 1, "tasks": [task]}
        studio.services.jobs.cancel(studio.services.jobs.active()[0].id)
        await waiting

    with open_studio(tmp_path, start=False) as studio:
        studio.run(story)


def test_the_state_names_the_tab_of_the_job(tmp_path: Path) -> None:
    with open_studio(tmp_path, start=False) as studio:
        for tab, image in (("txt2img", None), ("img2img", ImageToImage(images=("a" * 64,)))):
            job_id = studio.services.jobs.submit(GenerationRequest(image_to_image=image), "local")
            assert studio.get(PROGRESS).json()["state"]["job"] == f"scripts_{tab}"
            studio.services.jobs.cancel(job_id)


@pytest.mark.parametrize("path", ["/sdapi/v1/interrupt", "/sdapi/v1/skip"])
def test_nobody_stops_or_sees_another_ones_job(tmp_path: Path, path: str) -> None:
    users = {"ann": "ann password", "bob": "bob password"}
    with open_studio(tmp_path, start=False, basic=users) as studio:
        jobs = studio.services.jobs
        job_id = jobs.submit(GenerationRequest(), "ann")
        claimed = jobs.claim()
        assert claimed is not None
        bob = ("bob", "bob password")
        assert studio.post(path, auth=bob).status_code == 200
        wanted = jobs.wants(job_id)
        assert not (wanted.interrupt)
        assert not (wanted.skip)
        assert not (wanted.cancel)
        assert jobs.view(job_id).state is JobState.RUNNING
        assert studio.get(PROGRESS, auth=bob).json()["progress"] == 0
        answer = studio.post("/internal/progress", {"id_task": job_id}, auth=bob).json()
        unknown = studio.post("/internal/progress", {"id_task": "0" * 32}, auth=bob).json()
        assert answer == unknown
        assert studio.post(path, auth=("ann", "ann password")).status_code == 200
        wanted = jobs.wants(job_id)
        assert wanted.interrupt or wanted.skip
