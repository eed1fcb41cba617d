"""Checks 3, 8, 19, 21, 23: nothing lost, nothing mixed, nobody held up."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modules.server.lifecycle import Lifecycle
from tests.acceptance.conftest import Check
from tests.acceptance.stub_server import USER
from tests.server.studio import Studio, open_studio
from tests.server.test_run import serving
from tests.stub_runner import read_stub_picture

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 20
SMALL = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64}


def program(*words: str) -> dict[str, object]:
    """Run one of the programs that are killed, and return what it found."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.killed", *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=3000,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


class Artist:
    """One client: submits, sometimes cancels, sometimes walks away from a stream, and checks what he gets."""

    def __init__(self, client: httpx.AsyncClient, number: int, others: list[str]) -> None:
        self._client = client
        self._chance = random.Random(number)
        self._auth = (f"artist{number}", "an artist's password")
        self._others = others  # ids of everybody's jobs
        self.right = self.wrong = self.cancelled = self.foreign = 0

    async def work(self, pictures: int) -> None:
        while self.right + self.wrong < pictures:
            await self._job()

    async def _job(self) -> None:
        seed = self._chance.randrange(2**31)
        answer = await self._client.post("/api/v1/jobs", json={**SMALL, "seed": seed}, auth=self._auth)
        if answer.status_code == 429:
            await asyncio.sleep(0.05)
            return
        job_id = answer.json()["id"]
        self._others.append(job_id)
        fate = self._chance.random()
        if fate < 0.1:
            await self._client.post(f"/api/v1/jobs/{job_id}/cancel", auth=self._auth)
            self.cancelled += 1
            return
        if fate < 0.2:  # somebody else's job must not notice
            strange = self._chance.choice(self._others)
            if strange != job_id:
                tried = await self._client.post(
                    f"/api/v1/jobs/{strange}/cancel", auth=("guest", "guest pass")
                )
                self.foreign += tried.status_code < 400
        if fate > 0.9:
            await self._walk_away(job_id)
        await self._collect(job_id, seed)

    async def _walk_away(self, job_id: str) -> None:
        with contextlib.suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(0.01):
                await self._client.get(f"/api/v1/jobs/{job_id}/events", auth=self._auth)

    async def _collect(self, job_id: str, seed: int) -> None:
        job: dict[str, Any] = {"state": "queued"}
        while job["state"] not in ("done", "failed", "cancelled"):
            await asyncio.sleep(0.02)
            job = (await self._client.get(f"/api/v1/jobs/{job_id}", auth=self._auth)).json()
        urls = [image["url"] for image in job.get("images", [])]
        contents = [(await self._client.get(url, auth=self._auth)).content for url in urls]
        good = len(contents) == 1 and read_stub_picture(contents[0]) == (job_id, seed)
        self.right += good
        self.wrong += not good


def test_03_the_right_picture_reaches_the_right_artist(check: Check, tmp_path: Path) -> None:
    each = check.count(3, 50)
    users = {f"artist{n}": "an artist's password" for n in range(CLIENTS)} | {"guest": "guest pass"}
    with open_studio(tmp_path, limit=40, basic=users) as studio:

        async def everybody(client: httpx.AsyncClient) -> list[Artist]:
            others: list[str] = []
            artists = [Artist(client, number, others) for number in range(CLIENTS)]
            await asyncio.gather(*(artist.work(each) for artist in artists))
            return artists

        artists = studio.run(everybody, patience=2000.0)
    right = sum(artist.right for artist in artists)
    cancelled = sum(artist.cancelled for artist in artists)
    foreign = sum(artist.foreign for artist in artists)
    check.measured = (
        f"{right} of {CLIENTS * each} pictures right, {CLIENTS} clients, {cancelled} cancelled, "
        f"{foreign} foreign cancels"
    )
    assert (right, foreign) == (CLIENTS * each, 0)
    assert sum(artist.wrong for artist in artists) == 0


def test_08_the_queue_survives_kills(check: Check, tmp_path: Path) -> None:
    jobs, kills = check.count(10, 50), check.count(4, 20)
    found = program("queue", str(tmp_path / "studio"), str(jobs), str(kills))
    check.measured = (
        f"{found['exactly_once']} of {jobs} jobs finished exactly once through {found['kills']} kills; "
        f"order kept: {found['in_order']}"
    )
    assert (found["done"], found["exactly_once"], found["repeated"]) == (jobs, jobs, 0)
    assert found["in_order"] is True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def supervised(folder: Path) -> Iterator[str]:
    """A supervised server as a process; yields its address."""
    port = free_port()
    words = ["-m", "tests.acceptance.stub_server", "supervise", str(folder), str(port)]
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def until_healthy(client: httpx.Client) -> float:
    """Seconds until the server answers."""
    begun = time.monotonic()
    while time.monotonic() - begun < 120:
        with contextlib.suppress(httpx.HTTPError):
            if client.get("/health").status_code == 200:
                return time.monotonic() - begun
        time.sleep(0.05)
    raise AssertionError("the server did not come back")


def kill_server(folder: Path, port: str) -> None:
    """Kill -9 the server below the supervisor."""
    wanted = f"stub_server\0serve\0{folder}\0{port}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def wait_for(client: httpx.Client, job: str, *wanted: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for _ in range(2400):
        with contextlib.suppress(httpx.HTTPError):
            found = client.get(f"/api/v1/jobs/{job}").json()
            if found.get("state") in wanted and (found["state"] != "running" or found["step"]):
                return found
        time.sleep(0.05)
    raise AssertionError(found)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the server in /proc")
def test_19_the_server_comes_back_and_a_deadly_job_is_failed(check: Check, tmp_path: Path) -> None:
    rounds = check.count(1, 16)  # every fourth job is killed twice: 20 kills
    downtimes, completed, failed = [], 0, 0
    with supervised(tmp_path) as url, httpx.Client(base_url=url, auth=USER, timeout=30) as client:
        until_healthy(client)
        port = url.rpartition(":")[2]
        for number in range(rounds):
            steps = 1000 if number % 4 == 3 else check.count(60, 100)  # the former never get so far
            asked = {**SMALL, "steps": steps, "seed": number}
            job = client.post("/api/v1/jobs", json=asked).json()["id"]
            wait_for(client, job, "running")
            kill_server(tmp_path, port)
            downtimes.append(until_healthy(client))
            if number % 4 == 3:
                wait_for(client, job, "running")
                kill_server(tmp_path, port)
                downtimes.append(until_healthy(client))
                ended = wait_for(client, job, "done", "failed")
                failed += ended["state"] == "failed" and "2 times" in str(ended["error"])
                completed += 1
            else:
                completed += wait_for(client, job, "done", "failed")["state"] == "done"
        reports = len(list((tmp_path / "data" / "crashes").iterdir()))
    check.measured = (
        f"{len(downtimes)} kills: back after {sum(downtimes) / len(downtimes):.1f} s on average, "
        f"{completed} of {rounds} jobs as expected, {failed} of them failed at their second kill; "
        f"{reports} crash reports"
    )
    assert completed == rounds
    assert failed == rounds // 4
    assert reports


def slow_requests(address: tuple[str, int], count: int) -> list[socket.socket]:
    """Clients that never finish their request."""
    sockets = []
    for _ in range(count):
        connection = socket.create_connection(address, 30)
        connection.sendall(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n")
        sockets.append(connection)
    return sockets


def slow_readers(studio: Studio, address: tuple[str, int], count: int, image: str) -> list[socket.socket]:
    """Clients that ask for a picture and read none of it."""
    token = studio.access.accounts.create_token("ann", "artist")
    sockets = []
    for _ in range(count):
        connection = socket.create_connection(address, 30)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET /files/{image} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        connection.sendall(request.encode())
        sockets.append(connection)
    return sockets


def seconds_for(client: httpx.Client, jobs: int) -> float:
    """Device time from the first to the last of some jobs."""
    begun = time.monotonic()
    ids = [client.post("/api/v1/jobs", json={**SMALL, "seed": n}).json()["id"] for n in range(jobs)]
    for job in ids:
        wait_for(client, job, "done")
    return time.monotonic() - begun


def test_21_slow_and_dead_clients_hold_nobody_up(check: Check, tmp_path: Path) -> None:
    jobs, slow, readers = check.count(6, 50), check.count(30, 100), check.count(5, 20)
    with (
        open_studio(tmp_path, step_seconds=0.05, basic=dict([USER])) as studio,
        serving(studio, Lifecycle()) as url,
        httpx.Client(base_url=url, auth=USER, timeout=60) as client,
    ):
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        first = client.post("/api/v1/jobs", json={**SMALL, "width": 512, "height": 512, "seed": 1}).json()
        image = wait_for(client, first["id"], "done")["images"][0]["id"]  # type: ignore[index]
        idle = seconds_for(client, jobs)
        before = len(list(Path("/proc/self/fd").iterdir()))
        sockets = [*slow_requests(address, slow), *slow_readers(studio, address, readers, image)]
        busy = min(seconds_for(client, jobs) for _ in range(check.count(3, 1)))  # few jobs: one hiccup counts
        for connection in sockets:
            connection.close()
        for _ in range(200):
            if (after := len(list(Path("/proc/self/fd").iterdir()))) <= before + 4:
                break
            time.sleep(0.05)
    rate = idle / busy
    check.measured = (
        f"{jobs} jobs beside {slow} half requests and {readers} readers that do not read: "
        f"{100 * rate:.0f} % of the idle rate; files open before {before}, after {after}"
    )
    assert after <= before + 4
    assert rate > (0.75 if check.full else 0.4)  # the machine may be busy with other things too


def resident() -> float:
    """Memory of this process in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line)
    return int(line.split()[1]) / 1024


def test_23_a_thousand_pictures_in_one_job(check: Check, tmp_path: Path) -> None:
    count = check.count(60, 1000)
    request = {**SMALL, "steps": 1, "seed": 1, "n_iter": count}
    with open_studio(tmp_path, basic=dict([USER])) as studio:
        jobs = studio.services.jobs
        job = studio.post("/api/v1/jobs", request, auth=USER).json()["id"]
        _until(lambda: jobs.view(job).images_done >= count // 4)
        early = resident()
        jobs.wait(job, 2000)
        slope = (resident() - early) / (0.75 * count)
        files = len(list(studio.services.options.folders.outputs.glob("*.png")))
        second = studio.post("/api/v1/jobs", {**request, "seed": 5000}, auth=USER).json()["id"]
        _until(lambda: jobs.view(second).images_done >= count // 2)
        jobs.interrupt(second)
        begun = time.monotonic()
        kept = jobs.wait(second, 60)
        following = studio.post("/api/v1/jobs", {**SMALL, "seed": 9}, auth=USER).json()["id"]
        jobs.wait(following, 60)
        ready = time.monotonic() - begun
        all_files = len(list(studio.services.options.folders.outputs.glob("*.png")))
    check.measured = (
        f"{files} files of {count}; {slope * 1000:.0f} kB a picture; interrupted at {len(kept.images)}: "
        f"{all_files - files - 1} files; next job done after {ready:.1f} s"
    )
    assert files == count
    assert len(kept.images) == all_files - files - 1
    assert slope < 0.2 or not check.full  # a short run measures the allocator's noise
    assert ready < 10


def _until(condition: object) -> None:
    for _ in range(60_000):
        if condition():  # type: ignore[operator]
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not come about")
