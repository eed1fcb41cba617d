"""Other sites' pages: none by default, exactly the named ones when the administrator says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.server.origins import OriginRule, parse_origins
from tests.server.studio import Studio, open_studio

SITE, EVIL = "https://paint.example", "https://evil.example"


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Studio]:
    with open_studio(tmp_path, start=False, origins=parse_origins((SITE,), r"http://[a-z]+\.lan")) as studio:
        yield studio


def ask_first(studio: Studio, origin: str) -> dict[str, str]:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, authorization",
        "sec-fetch-site": "cross-site",
    }
    answer = studio.request("OPTIONS", "/sdapi/v1/options", headers=headers)
    return {"status": str(answer.status_code), **answer.headers}


@pytest.mark.parametrize("origin", [SITE, "http://studio.lan"])
def test_a_named_site_may_call(shared: Studio, origin: str) -> None:
    before = ask_first(shared, origin)
    assert before["status"] == "200"
    assert before["access-control-allow-origin"] == origin
    assert before["access-control-allow-headers"] == "content-type, authorization"
    headers = {"origin": origin, "sec-fetch-site": "cross-site"}
    answer = shared.post("/sdapi/v1/options", {"send_seed": False}, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin", [EVIL, "null", f"{SITE}.evil.example", "https://paint.example:444", "http://a.lan.evil.example"]
)
def test_all_others_stay_out(shared: Studio, origin: str) -> None:
    assert "access-control-allow-origin" not in ask_first(shared, origin)
    headers = {"origin": origin, "sec-fetch-site": "cross-site"}
    answer = shared.post("/sdapi/v1/options", {"send_seed": False}, headers=headers)
    assert answer.status_code == 403
    assert shared.services.settings.current.send_seed is True


def test_without_the_flags_nobody_is_let_in(studio: Studio) -> None:
    assert "access-control-allow-origin" not in ask_first(studio, SITE)


def test_a_named_site_still_needs_credentials(tmp_path: Path) -> None:
    rule = OriginRule(frozenset({SITE}))
    with open_studio(tmp_path, start=False, api_open=False, origins=rule) as studio:
        answer = studio.get("/sdapi/v1/options", headers={"origin": SITE})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == SITE


@pytest.mark.parametrize("name", ["*", "paint.example", "https://paint.example/", "ftp://x.example", "null"])
def test_what_is_no_origin_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        parse_origins((name,), None)


def test_a_broken_pattern_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        parse_origins((), "(")
