"""What a job would cost, and moving those that wait, over HTTP."""

from pathlib import Path
from typing import Any

import pytest

from tests.server.studio import open_studio

ANN, BOB = ("ann", "ann password"), ("bob", "bob password")
SMALL: dict[str, Any] = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64, "seed": 5}


def test_an_estimate_names_memory_time_and_the_jobs_before(tmp_path: Path) -> None:
    with open_studio(tmp_path, start=False, basic=dict([ANN, BOB])) as studio:
        for _ in range(2):
            studio.post("/api/v1/jobs", SMALL, auth=ANN)
        answer = studio.post("/api/v1/estimate", {**SMALL, "width": 512, "height": 768}, auth=ANN)
        assert answer.status_code == 200
        found = answer.json()
        assert found["fit"] == "fits"
        assert found["bytes_needed"] > 512 * 768
        assert found["jobs_ahead"] == 2
        assert (found["seconds"], found["width"], found["height"]) == (None, 512, 768)
        assert studio.post("/api/v1/estimate", SMALL, auth=BOB).json()["jobs_ahead"] <= 1
        assert len(studio.get("/api/v1/jobs", auth=ANN).json()) == 2  # nothing was queued


def test_an_estimate_says_what_is_wrong_as_submitting_would(tmp_path: Path) -> None:
    with open_studio(tmp_path, start=False, basic=dict([ANN])) as studio:
        answer = studio.post("/api/v1/estimate", {**SMALL, "sampler_name": "no such"}, auth=ANN)
        assert answer.status_code in (404, 422)
        assert "no such" in answer.text


@pytest.mark.parametrize("place", [0, -1, "first", None, 1e9])
def test_a_place_is_a_positive_number(tmp_path: Path, place: object) -> None:
    with open_studio(tmp_path, start=False, basic=dict([ANN])) as studio:
        job = studio.post("/api/v1/jobs", SMALL, auth=ANN).json()["id"]
        assert studio.post(f"/api/v1/jobs/{job}/move", {"place": place}, auth=ANN).status_code == 422


def test_ones_own_waiting_jobs_can_be_moved_and_nobody_elses(tmp_path: Path) -> None:
    with open_studio(tmp_path, start=False, basic=dict([ANN, BOB])) as studio:
        first, second = (studio.post("/api/v1/jobs", SMALL, auth=ANN).json()["id"] for _ in range(2))
        moved = studio.post(f"/api/v1/jobs/{second}/move", {"place": 1}, auth=ANN)
        assert {job["id"]: job["position"] for job in moved.json()} == {first: 2, second: 1}
        strange = studio.post(f"/api/v1/jobs/{second}/move", {"place": 1}, auth=BOB)
        unknown = studio.post(f"/api/v1/jobs/{'0' * 32}/move", {"place": 1}, auth=BOB)
        assert strange.status_code == unknown.status_code == 404
        assert strange.content == unknown.content
