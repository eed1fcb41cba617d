"""A short run of the requests that ``python -m tests.server.fuzz`` sends by the ten thousand."""

from pathlib import Path

import pytest

from tests.server.fuzz import fuzz_studio

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries that make the requests


def test_no_request_brings_the_server_down_and_every_refusal_names_its_field(tmp_path: Path) -> None:
    report = fuzz_studio(tmp_path, 170, seed=1)
    assert report.problems == []
    assert report.sent >= 170
    assert len({route for route, _ in report.statuses}) > 50
    assert {200, 422} <= set(report.by_status())
