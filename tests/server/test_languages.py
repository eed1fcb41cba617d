import httpx
import pytest

from modules.domain.principal import Principal
from tests.server.studio import Studio


def ask(studio: Studio, name: str) -> httpx.Response:
    """Somebody whose page is open asks for a language."""
    session = studio.access.accounts.open_session(Principal("ann", "artist"))
    return studio.get(f"/languages/{name}.json", headers={"cookie": f"{studio.access.cookie}={session}"})


def test_a_language_is_one_json_object(studio: Studio) -> None:
    assert ask(studio, "zh-Hans").json()["Generate"] == "生成"


@pytest.mark.parametrize("name", ["klingon", "..%2F..%2Fconfig"])
def test_an_unknown_language_is_not_found(studio: Studio, name: str) -> None:
    assert ask(studio, name).status_code == 404


def test_strangers_are_told_no_language(studio: Studio) -> None:
    assert studio.get("/languages/zh-Hans.json").status_code == 401
