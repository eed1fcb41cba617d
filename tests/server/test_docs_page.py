"""The API's page for people: complete, without scripts, without foreign addresses."""

import re
from dataclasses import replace
from pathlib import Path

from modules.domain.principal import LOCAL
from modules.server.docs_page import render_docs
from tests.server.studio import Studio, open_studio


def test_every_route_is_on_the_page(standing: Studio) -> None:
    page = standing.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path, operations in standing.app.openapi()["paths"].items():
        for method in operations:
            assert f"<b>{method.upper()}</b> <code>{path}</code>" in page.text
    assert "negative_prompt" in page.text


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(standing: Studio) -> None:
    text = standing.get("/docs").text
    assert "<script" not in text
    assert not re.search(r"(src|href)=.(https?:|//)", text)
    assert standing.get("/redoc").headers["location"] == "/docs"


def test_strangers_do_not_see_it(tmp_path: Path) -> None:
    with open_studio(tmp_path, start=False, api_open=False) as studio:
        assert studio.get("/docs").status_code == 401
        assert studio.get("/openapi.json").status_code == 401


def test_texts_of_a_document_are_no_html() -> None:
    operation = {"tags": ["<b>"], "description": "<script>alert(1)</script>", "responses": {}}
    document = {"info": {"title": "<i>", "version": "1"}, "paths": {"/<x>": {"get": operation}}}
    page = render_docs(document)
    assert "<script" not in page
    assert "/&lt;x&gt;" in page


def test_without_a_page_the_address_itself_leads_to_the_api(studio: Studio) -> None:
    options = replace(studio.services.options, page=False)
    studio.services = replace(studio.services, options=options)
    session = studio.access.accounts.open_session(LOCAL)
    answer = studio.get("/", headers={"cookie": f"{studio.access.cookie}={session}"})
    assert answer.headers["location"] == "/docs"
