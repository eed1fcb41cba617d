import json
from dataclasses import replace
from pathlib import Path

from modules.domain.principal import Principal
from modules.server.startup import StartupTimes
from tests.server.studio import Studio, open_studio


def test_the_report_of_the_machine_holds_no_secret_and_no_path(tmp_path: Path) -> None:
    with open_studio(tmp_path, start=False) as studio:
        options = replace(studio.services.options, api_auth=(("bot", "a secret password"),))
        studio.services = replace(studio.services, options=options)
        studio.services.settings.update({"jpeg_quality": 71, "outdir_save": "my secret folder"})
        answer = studio.get("/internal/sysinfo")
        report = answer.json()
        assert {"Platform", "Python", "Version", "Torch", "RAM", "Config", "Packages", "Startup"} <= set(
            report
        )
        assert report["Config"] == {"jpeg_quality": 71}
        assert "secret" not in answer.text
        assert str(tmp_path) not in answer.text
        assert any(package.startswith("pillow==") for package in report["Packages"])


def test_the_report_can_be_downloaded_by_administrators_only(studio: Studio) -> None:
    answer = studio.get("/internal/sysinfo-download")
    assert "attachment" in answer.headers["content-disposition"]
    assert json.loads(answer.content)["Python"]
    session = studio.access.accounts.open_session(Principal("ann", "artist"))
    artist = {"cookie": f"{studio.access.cookie}={session}"}
    for path in ("/internal/sysinfo", "/internal/sysinfo-download"):
        assert studio.get(path, headers=artist).status_code == 403


def test_the_start_is_told_by_its_parts(studio: Studio) -> None:
    times = StartupTimes()
    times.mark("services")
    times.mark("page")
    profile = times.profile()
    assert list(profile.records)[-2:] == ["services", "page"]
    assert profile.total >= 0
    assert set(studio.get("/internal/profile-startup").json()) == {"total", "records"}


def test_signs_of_life(studio: Studio) -> None:
    assert studio.get("/internal/ping").json() == {}
    first = studio.get("/app_id").json()["app_id"]
    assert first == studio.get("/app_id").json()["app_id"]
