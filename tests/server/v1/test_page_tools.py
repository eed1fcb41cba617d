"""What the page's tools ask the server: prompts, styles, cards, queue, defaults."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from modules.domain.principal import LOCAL, Principal
from tests.server.studio import Studio, open_studio
from tests.server.v1.test_jobs import SLOW, ended

Json = dict[Any, Any]
LORA = {"kind": "lora", "name": "ink"}


class Visitor:
    """Somebody with a session in the browser."""

    def __init__(self, studio: Studio, principal: Principal) -> None:
        self.studio = studio
        session = studio.access.accounts.open_session(principal)
        self.headers = {"cookie": f"{studio.access.cookie}={session}"}

    def ask(self, method: str, path: str, body: object = None, **params: object) -> httpx.Response:
        return self.studio.request(
            method, f"/api/v1/{path}", json=body, params=params or None, headers=self.headers
        )

    def told(self, method: str, path: str, body: object = None, **params: object) -> Json:
        answer = self.ask(method, path, body, **params)
        assert answer.status_code < 300, answer.text
        return cast("Json", answer.json())

    def listed(self, path: str) -> list[Json]:
        return cast("list[Json]", self.told("GET", path))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    loras = tmp_path / "models" / "Lora" / "pens"
    loras.mkdir(parents=True)
    save_file({"x.alpha": torch.tensor(1.0)}, loras / "ink.safetensors", {"ss_output_name": "Ink"})
    with open_studio(tmp_path, start=False) as made:
        yield made


@pytest.fixture
def owner(studio: Studio) -> Visitor:
    return Visitor(studio, LOCAL)


@pytest.fixture
def artist(studio: Studio) -> Visitor:
    return Visitor(studio, Principal("ann", "artist"))


def test_a_prompt_is_mapped_with_its_tags_in_javascripts_places(owner: Visitor) -> None:
    text = "😀 cat <lora:Ink:1> <lora:none:1> BREAK xyzzyqua"
    found = owner.told("POST", "prompts/map", {"text": text})
    assert [(tag["name"], tag["known"]) for tag in found["tags"]] == [("Ink", True), ("none", False)]
    units = text.encode("utf-16-le")

    def typed(part: dict[str, int]) -> str:
        return units[2 * part["start"] : 2 * part["end"]].decode("utf-16-le")

    assert [typed(tag) for tag in found["tags"]] == ["<lora:Ink:1>", "<lora:none:1>"]
    assert [typed(band) for band in found["bands"]] == ["😀 cat", "xyzzyqua"]
    assert typed(found["words"][-1]) == "xyzzyqua"
    assert len(found["sizes"]) == 2


def test_styles_count_as_the_settings_say(owner: Visitor) -> None:
    owner.told("PUT", "styles", {"name": "oil", "prompt": "oil painting"})
    asked = {"text": "cat", "styles": ["oil"]}
    assert owner.told("POST", "prompts/map", asked)["count"] == 4
    assert owner.told("POST", "prompts/map", {**asked, "negative": True})["count"] == 1
    owner.studio.services.settings.update({"include_styles_into_token_counters": False})
    assert owner.told("POST", "prompts/map", asked)["count"] == 1


def test_tags_in_a_negative_prompt_are_not_used(owner: Visitor) -> None:
    found = owner.told("POST", "prompts/map", {"text": "<lora:Ink:1>", "negative": True})
    assert [tag["known"] for tag in found["tags"]] == [False]


def test_names_for_completion(owner: Visitor) -> None:
    assert owner.ask("GET", "prompts/names").json() == ["<lora:Ink:"]


def test_a_style_is_made_changed_and_deleted(owner: Visitor, tmp_path: Path) -> None:
    style = {"name": "oil", "prompt": "oil painting of {prompt}", "negative_prompt": "photo"}
    owner.told("PUT", "styles", style)
    assert owner.listed("styles") == [style]
    owner.told("PUT", "styles", {**style, "prompt": "gouache"})
    assert "gouache" in (tmp_path / "styles.csv").read_text("utf-8-sig")
    assert "oil painting" in (tmp_path / "styles.csv.bak").read_text("utf-8-sig")
    owner.told("POST", "styles/delete", {"name": "oil"})
    assert owner.listed("styles") == []
    assert owner.ask("POST", "styles/delete", {"name": "oil"}).status_code == 404


@pytest.mark.parametrize("name", ["", "  ", "# hidden", "two\nlines", "x" * 201])
def test_names_that_the_file_cannot_hold_are_refused(owner: Visitor, name: str) -> None:
    assert owner.ask("PUT", "styles", {"name": name}).status_code == 422


def test_cards_are_listed_without_what_is_empty(owner: Visitor) -> None:
    found = owner.told("GET", "networks", kind="lora")
    (card,) = found["cards"]
    assert (card["name"], card["called"], card["folder"]) == ("ink", "Ink", "pens")
    assert "description" not in card
    assert owner.ask("GET", "networks", kind="else").status_code == 422


def test_notes_are_written_in_a1111s_form(owner: Visitor, tmp_path: Path) -> None:
    notes = {"activation_text": "ink drawing", "preferred_weight": 0.8, "version": "SD1"}
    card = owner.told("PUT", "networks/notes", {**LORA, "notes": notes})
    assert (card["activation_text"], card["preferred_weight"], card["version"]) == ("ink drawing", 0.8, "sd1")
    stored = json.loads((tmp_path / "models/Lora/pens/ink.json").read_text("utf-8"))
    assert stored == {"activation text": "ink drawing", "preferred weight": 0.8, "sd version": "SD1"}
    details = owner.told("GET", "networks/details", **LORA)
    assert (details["notes"]["preferred_weight"], details["editable"]) == (0.8, True)
    assert details["metadata"] == {"ss_output_name": "Ink"}
    assert owner.ask("PUT", "networks/notes", {**LORA, "notes": {"preferred_weight": 9}}).status_code == 422


def test_a_strange_note_file_is_no_obstacle(owner: Visitor, tmp_path: Path) -> None:
    notes = tmp_path / "models/Lora/pens/ink.json"
    notes.write_text('{"preferred weight": "0.8", "description": 5, "sd version": "Other"}', "utf-8")
    (card,) = owner.told("GET", "networks", kind="lora")["cards"]
    assert "preferred_weight" not in card
    notes.write_text("[", "utf-8")
    assert owner.told("GET", "networks/details", **LORA)["notes"]["description"] is None


def test_a_picture_becomes_a_preview_of_the_same_bytes(owner: Visitor, tmp_path: Path) -> None:
    studio = owner.studio
    assert owner.ask("GET", "networks/preview", **LORA).status_code == 404
    job_id = owner.told("POST", "jobs", {**SLOW, "steps": 2})["id"]
    studio.runner.start()

    async def wait(client: httpx.AsyncClient) -> dict[str, Any]:
        client.headers.update(owner.headers)
        return await ended(client, job_id)

    (image,) = studio.run(wait)["images"]
    card = owner.told("PUT", "networks/preview", {**LORA, "image": image["id"]})
    assert card["preview"] > 0
    written = (tmp_path / "models/Lora/pens/ink.preview.png").read_bytes()
    assert written == owner.studio.request("GET", image["url"], headers=owner.headers).content
    shown = owner.ask("GET", "networks/preview", **LORA)
    assert shown.headers["content-type"] == "image/webp"
    assert max(Image.open(io.BytesIO(shown.content)).size) <= 320


def test_a_preview_that_is_no_picture_is_not_handed_out(owner: Visitor, tmp_path: Path) -> None:
    (tmp_path / "models/Lora/pens/ink.png").write_text("<script>", "utf-8")
    assert owner.ask("GET", "networks/preview", **LORA).status_code == 404


def test_an_artist_reads_but_does_not_change_what_all_share(artist: Visitor) -> None:
    assert artist.listed("styles") == []
    assert artist.told("GET", "networks/details", **LORA)["editable"] is False
    assert artist.told("GET", "page")["editable"] is False
    for method, path, body in (
        ("PUT", "styles", {"name": "x"}),
        ("POST", "styles/delete", {"name": "x"}),
        ("PUT", "networks/notes", {**LORA, "notes": {}}),
        ("PUT", "networks/preview", {**LORA, "image": "x"}),
        ("PUT", "page/defaults/txt2img", {"values": {}}),
        ("DELETE", "page/defaults/txt2img", None),
    ):
        assert artist.ask(method, path, body).status_code == 403, path


def test_the_page_knows_its_visitor_and_its_tools(owner: Visitor, artist: Visitor) -> None:
    page = owner.told("GET", "page")
    assert (page["user"], page["editable"]) == ("local", True)
    assert page["options"]["extra_networks_default_multiplier"] == 1.0
    assert artist.told("GET", "page")["user"] == "ann"


def test_a_form_is_estimated_once_it_can_be_done(owner: Visitor) -> None:
    for form in ({"steps": 0}, {"sampler_name": "none"}):
        answer = owner.ask("POST", "page/estimate", form)
        assert (answer.status_code, answer.json()) == (200, None)
    assert owner.told("POST", "page/estimate", {"width": 640})["width"] == 640


def test_defaults_of_a_form_are_kept_in_ui_config_json(owner: Visitor, tmp_path: Path) -> None:
    values = {"Sampling steps": 30, "Hires. fix": True}
    assert owner.told("PUT", "page/defaults/txt2img", {"values": values})["values"] == values
    stored = json.loads((tmp_path / "data" / "ui-config.json").read_text("utf-8"))
    assert stored["txt2img/Sampling steps/value"] == 30
    assert owner.told("GET", "page/defaults/img2img")["values"] == {}
    assert owner.told("DELETE", "page/defaults/txt2img")["values"] == {}
    assert owner.ask("GET", "page/defaults/..%2Fx").status_code in (404, 422)


def test_the_queue_shows_the_callers_jobs_in_their_order(owner: Visitor, artist: Visitor) -> None:
    first, second = (owner.told("POST", "jobs", {**SLOW, "prompt": text})["id"] for text in ("one", "two"))
    artist.told("POST", "jobs", SLOW)
    owner.told("POST", "jobs/order", {"ids": [second, first]})
    queue = owner.told("GET", "queue")
    assert [(job["prompt"], job["task"], job["state"]) for job in queue["active"]] == [
        ("two", "txt2img", "queued"),
        ("one", "txt2img", "queued"),
    ]
    owner.told("POST", f"jobs/{second}/pause")
    owner.told("POST", f"jobs/{first}/cancel")
    queue = owner.told("GET", "queue")
    assert [(job["prompt"], job["state"]) for job in queue["active"]] == [("two", "paused")]
    assert [(job["prompt"], job["state"]) for job in queue["ended"]] == [("one", "cancelled")]


def test_the_queue_of_somebody_else_is_empty(owner: Visitor, artist: Visitor) -> None:
    owner.told("POST", "jobs", SLOW)
    assert artist.told("GET", "queue") == {"active": [], "ended": []}
