import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from modules.domain.job import JobState
from modules.domain.principal import LOCAL, Principal
from modules.server.app import create_app
from modules.server.lifecycle import EXIT_RESTART, EXIT_STOPPED, Lifecycle
from modules.server.run import RefusedToStartError, bind_socket, login_url, open_access, serve
from modules.settings.launch import Folders, LaunchOptions
from tests.server.doors import make_access
from tests.server.studio import Studio, open_studio


@contextmanager
def serving(studio: Studio, lifecycle: Lifecycle) -> Iterator[str]:
    """A real server in a thread; yields its address."""
    listener = bind_socket("127.0.0.1", 0)
    ready = threading.Event()
    app = create_app(studio.services, studio.access, lifecycle)
    thread = threading.Thread(
        target=serve, args=(app, listener), kwargs={"lifecycle": lifecycle, "on_ready": ready.set}
    )
    thread.start()
    assert ready.wait(30)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        lifecycle.stop(lifecycle.exit_status)
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    listener = bind_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with pytest.raises(RefusedToStartError, match=f"port {port} is taken"):
        bind_socket("127.0.0.1", port)
    listener.close()
    for host, wrong in (("no.such.host.invalid", 80), ("192.0.2.1", 7860), ("127.0.0.1", 10**6)):
        with pytest.raises(RefusedToStartError):
            bind_socket(host, wrong)


def options(folder: Path, **changes: object) -> LaunchOptions:
    return LaunchOptions(Folders.below(folder), **changes)  # type: ignore[arg-type]


def test_an_open_address_needs_somebody_who_can_log_in(tmp_path: Path) -> None:
    listener = bind_socket("0.0.0.0", 0)
    with pytest.raises(RefusedToStartError, match="users add"):
        open_access(options(tmp_path, host="127.0.0.1", listen=False, api=True), listener)
    access = open_access(options(tmp_path, api=True, api_auth=(("ann", "her password"),)), listener)
    assert not access.loopback
    assert access.hosts.allows("192.168.1.5:7860")
    assert not access.hosts.allows("evil.example")
    access.accounts.add_user("bob", "his password", "artist")
    access.accounts.close()
    access = open_access(options(tmp_path), listener)
    assert access.has_credentials()
    access.accounts.close()
    listener.close()


def test_on_loopback_a_one_time_link_opens_the_page(tmp_path: Path) -> None:
    listener = bind_socket("127.0.0.1", 0)
    access = open_access(options(tmp_path, allowed_hosts=("studio.test",)), listener)
    assert access.loopback
    assert access.hosts.allows("studio.test")
    assert not access.hosts.allows("10.0.0.1")
    url = httpx.URL(login_url(access, listener))
    assert (url.path, url.port) == ("/login", listener.getsockname()[1])
    assert access.links.redeem(url.params["token"]) is not None
    access.accounts.close()
    listener.close()


def test_cookies_of_another_start_are_worth_nothing_where_nobody_would_get_them_now(tmp_path: Path) -> None:
    near, far = bind_socket("127.0.0.1", 0), bind_socket("0.0.0.0", 0)
    access = open_access(options(tmp_path, api_auth=(("joe", "old"),)), near)
    joe, local = (access.accounts.open_session(one) for one in (Principal("joe", "admin"), LOCAL))
    access.accounts.close()
    found = {}
    for listener, password in ((near, "old"), (near, "new"), (far, "new")):
        access = open_access(options(tmp_path, api_auth=(("joe", password),)), listener)
        sessions = [access.accounts.check_session(cookie) is not None for cookie in (joe, local)]
        found[access.loopback, password] = sessions
        access.accounts.close()
    assert found == {
        (True, "old"): [True, True],
        (True, "new"): [False, True],
        (False, "new"): [False, False],
    }
    near.close()
    far.close()


def test_the_server_answers_and_ends_cleanly(tmp_path: Path) -> None:
    lifecycle = Lifecycle()
    with open_studio(tmp_path) as studio, serving(studio, lifecycle) as url:
        answer = httpx.get(f"{url}/health")
        assert answer.json() == {"status": "ok"}
        assert "server" not in answer.headers
        assert httpx.get(url).status_code == 401


def test_a_client_that_leaves_gives_the_device_back(tmp_path: Path) -> None:
    with open_studio(tmp_path, step_seconds=0.01) as studio, serving(studio, Lifecycle()) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/sdapi/v1/txt2img", json={"steps": 1000}, timeout=0.5)
        latest = studio.services.jobs.latest("local")
        assert latest is not None
        assert studio.services.jobs.wait(latest.id, 5).state is JobState.CANCELLED


def test_a_picture_that_is_to_be_kept_is_made_although_the_client_left(tmp_path: Path) -> None:
    with open_studio(tmp_path, step_seconds=0.01) as studio, serving(studio, Lifecycle()) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/sdapi/v1/txt2img", json={"steps": 80, "save_images": True}, timeout=0.5)
        latest = studio.services.jobs.latest("local")
        assert latest is not None
        assert studio.services.jobs.wait(latest.id, 20).state is JobState.DONE


def test_the_server_ends_soon_although_a_client_waits(tmp_path: Path) -> None:
    lifecycle = Lifecycle()
    with open_studio(tmp_path, step_seconds=0.05) as studio:
        with serving(studio, lifecycle) as url:

            def wait_long() -> None:
                with pytest.raises(httpx.HTTPError):
                    httpx.post(f"{url}/sdapi/v1/txt2img", json={"steps": 1000}, timeout=60).raise_for_status()

            client = threading.Thread(target=wait_long)
            client.start()
            time.sleep(0.5)
            started = time.monotonic()
        assert time.monotonic() - started < 15
        client.join(10)
        assert not client.is_alive()


def test_stopping_by_api_needs_its_flag(tmp_path: Path) -> None:
    with open_studio(tmp_path, start=False) as studio:
        assert studio.post("/sdapi/v1/server-stop").status_code == 404
    with open_studio(tmp_path / "two", start=False) as studio:
        services = replace(studio.services, options=replace(studio.services.options, api_server_stop=True))
        lifecycle = Lifecycle()
        app = create_app(services, make_access(tmp_path, api_open=True), lifecycle)

        async def stop(how: str) -> str:
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return (await client.post(f"/sdapi/v1/{how}")).text

        assert asyncio.run(stop("server-restart")) == "Restarting."
        assert lifecycle.exit_status == EXIT_RESTART
        for how in ("server-stop", "server-kill"):
            assert asyncio.run(stop(how)) == "Stopping."
            assert lifecycle.exit_status == EXIT_STOPPED


def test_slow_senders_do_not_hold_up_others(tmp_path: Path) -> None:
    with open_studio(tmp_path) as studio, serving(studio, Lifecycle()) as url:
        port = int(url.rsplit(":", 1)[1])
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        for connection in idle:
            connection.sendall(
                b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"
            )
        started = time.monotonic()
        answer = httpx.post(f"{url}/sdapi/v1/txt2img", json={"steps": 1}, timeout=30)
        assert answer.status_code == 200
        assert time.monotonic() - started < 10
        for connection in idle:
            connection.close()
