"""The page's way into the queue: the same checks as the API's."""

from types import SimpleNamespace
from typing import cast

import gradio as gr
import pytest

from modules.domain.principal import LOCAL, Principal
from modules.domain.request import GenerationRequest
from modules.exceptions import ForbiddenError, RequestError
from modules.services import Services
from modules.submission import without_server_settings
from modules.webui.form.request_builder import build_request
from modules.webui.form.script_values import ARGUMENTS_KEY, SCRIPT_KEY
from modules.webui.owner import visitor_of
from tests.webui.events.test_generation_events import Page, uploaded, visitor

ANN = Principal("ann", "artist")


@pytest.fixture
def page(services: Services) -> Page:
    return Page(services)


def request_with(**settings: str) -> GenerationRequest:
    return build_request({"prompt": "a hut"}, overrides=settings)


def test_an_artist_cannot_override_settings_of_the_server(page: Page) -> None:
    with pytest.raises(ForbiddenError, match="outdir_samples belongs to the administrator"):
        page.events.submitter.submit_request("txt2img", request_with(outdir_samples="/"), ANN)
    assert page.services.jobs.active("ann") == ()


def test_an_administrator_can(page: Page) -> None:
    page.events.submitter.submit_request("txt2img", request_with(outdir_samples="chosen"), LOCAL)
    (view,) = page.services.jobs.active(LOCAL.name)
    assert page.services.jobs.request(view.id).override_settings["outdir_samples"] == "chosen"


def test_the_servers_own_settings_are_no_overrides(page: Page) -> None:
    page.services.settings.update({"outdir_samples": "elsewhere"})
    submitter = page.events.submitter
    job_id = submitter.submit_request("txt2img", request_with(), ANN)
    made = page.services.jobs.request(job_id)
    assert made.override_settings["outdir_samples"] == "elsewhere"
    again = submitter.submit_request("txt2img", without_server_settings(made), ANN)
    assert page.services.jobs.request(again) == made


def test_arguments_of_a_script_are_checked_before_the_job_is_queued(page: Page) -> None:
    sent = page.sent(
        page.img2img,
        image={"image": uploaded(page)},
        **{SCRIPT_KEY: "SD upscale", ARGUMENTS_KEY: {"SD upscale": [None, 64, "no such upscaler"]}},
    )
    with pytest.raises(RequestError, match="no such upscaler") as caught:
        page.events.submitter.submit(page.img2img, page.img2img.form.values(sent), ANN)
    assert caught.value.field == SCRIPT_KEY
    assert page.services.jobs.active("ann") == ()


def test_a_visitor_is_who_the_guard_found() -> None:
    scope = {"state": {"principal": LOCAL}}
    request = SimpleNamespace(username="local", request=SimpleNamespace(scope=scope))
    assert visitor_of(cast("gr.Request", request)) == LOCAL
    assert visitor_of(visitor("ann")) == ANN
