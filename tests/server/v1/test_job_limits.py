"""What no job may ask for, said when it is submitted."""

from typing import Any

import httpx
import pytest

from modules.domain.principal import LOCAL
from tests.server.studio import Studio

SMALL: dict[str, Any] = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64}


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def check_refused(studio: Studio, path: str, changes: dict[str, Any], field: str) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        client.headers["cookie"] = f"{studio.access.cookie}={session}"
        answer = await client.post(path, json={**SMALL, **changes})
        assert answer.status_code == 422, answer.text
        assert field in answer.text

    session = studio.access.accounts.open_session(LOCAL)
    studio.run(story)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed_resize_from_w": 10**9, "seed_resize_from_h": 64}, "seed_resize_from_w"),
        ({"width": 8, "height": 8192, "hires": {"resize_x": 8192}}, "hires.resize_x"),
        ({"width": 8192, "height": 4096, "hires": {"scale": 8}}, "hires.scale"),
        ({"hires": {"resize_x": 1}}, "hires.resize_x"),
        ({"script_args": nested(200)}, "script_args"),
        ({"override_settings": {"x": nested(200)}}, "override_settings"),
    ],
)
def test_a_job_beyond_all_bounds_is_refused_with_its_field(
    standing: Studio, changes: dict[str, Any], field: str
) -> None:
    check_refused(standing, "/api/v1/jobs", changes, field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed_resize_from_w": 10**9, "seed_resize_from_h": 64}, "seed_resize_from_w"),
        ({"enable_hr": True, "hr_resize_x": 1}, "hires.resize_x"),
        ({"script_args": nested(200), "script_name": "Prompt matrix"}, "script_args"),
    ],
)
def test_the_api_of_a1111_refuses_it_too(standing: Studio, changes: dict[str, Any], field: str) -> None:
    check_refused(standing, "/sdapi/v1/txt2img", changes, field)
