"""Numbers for monitoring and reports of crashes: complete, for administrators only, without secrets."""

import re
import sys
from pathlib import Path

import pytest

from modules.server.crash_report import REPORTS_KEPT, read_reports, redacted, write_report
from modules.server.supervisor import Supervisor
from tests.server.studio import Studio, open_studio

SMALL = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5}


def bearer(studio: Studio, role: str) -> dict[str, str]:
    token = studio.access.accounts.create_token(f"{role}_ann", role)  # type: ignore[arg-type]
    return {"authorization": f"Bearer {token}"}


def test_metrics_count_jobs_requests_and_memory(tmp_path: Path) -> None:
    with open_studio(tmp_path) as studio:
        headers = bearer(studio, "admin")
        job = studio.post("/api/v1/jobs", SMALL, headers=headers).json()["id"]
        studio.services.jobs.wait(job, 20)
        text = studio.get("/metrics", headers=headers).text
        assert 'studio_jobs{state="done"} 1' in text
        assert "studio_pictures 1" in text
        assert 'studio_requests_total{status="201"} 1' in text
        for line in text.splitlines():
            assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{\w+=\"[^\"]*\"\})? [-+.e0-9]+", line), line


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/crashes"])
def test_only_administrators_see_them(tmp_path: Path, path: str) -> None:
    with open_studio(tmp_path) as studio:
        assert studio.get(path, headers=bearer(studio, "artist")).status_code == 403
        assert studio.get(path).status_code == 401
        assert studio.get(path, headers=bearer(studio, "admin")).status_code == 200


def test_a_report_is_served_to_the_administrator(tmp_path: Path) -> None:
    with open_studio(tmp_path) as studio:
        folder = studio.services.options.folders.data / "crashes"
        write_report(folder, "signal SIGKILL", 12.0, tmp_path / "none", ["a line\n"])
        (report,) = studio.get("/api/v1/crashes", headers=bearer(studio, "admin")).json()
        assert "signal SIGKILL" in report["text"]
        assert "a line" in report["text"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("ready: http://127.0.0.1:7860/login?token=AbC-123_x", "AbC-123_x"),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("--api-auth=ann:password1", "password1"),
        ("password = 'hunter22'", "hunter22"),
        ("http://ann:password1@host/", "password1"),
        ("File /home/annabel/studio/x.py", "annabel"),
    ],
)
def test_secrets_are_blotted_out(text: str, secret: str) -> None:
    assert secret not in redacted(text)


def test_a_bounded_number_of_reports_is_kept(tmp_path: Path) -> None:
    for index in range(REPORTS_KEPT + 5):
        write_report(tmp_path, f"exit status {index}", 1.0, tmp_path / "none", [])
    reports = list(read_reports(tmp_path))
    assert len(reports) == REPORTS_KEPT
    assert f"exit status {REPORTS_KEPT + 4}" in reports[0][1]


def test_the_supervisor_reports_a_crash_with_the_last_words_and_the_job_at_work(tmp_path: Path) -> None:
    job = "0123456789abcdef" * 2
    (tmp_path / "queue.hands").write_text(f"{job}\n\n\n")
    dying = "import os, sys; sys.stderr.write('last words, token=abc\\n'); sys.stderr.flush(); os.abort()"
    supervisor = Supervisor(
        (sys.executable, "-c", dying),
        max_quick_failures=1,
        pause=0.0,
        crash_folder=tmp_path / "crashes",
        note=tmp_path / "queue.hands",
    )
    supervisor.run()
    ((_, text),) = read_reports(tmp_path / "crashes")
    assert "SIGABRT" in text
    assert job in text
    assert "last words, token=***" in text
