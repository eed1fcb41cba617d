"""Random and hostile JSON to every route that takes it: never a 5xx, never a hang, no echo."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.domain.principal import Principal
from modules.server.sdapi.extras import BatchRequest, SingleRequest
from modules.server.sdapi.payloads import ImageToImagePayload, TextToImagePayload
from modules.server.sdapi.pictures import InterrogateRequest, PngInfoRequest
from modules.server.sdapi.progress import InternalProgressRequest
from tests.server.sdapi.test_generate import picture
from tests.server.studio import Studio, open_studio

ROUTES: dict[str, tuple[str, ...]] = {
    "/sdapi/v1/txt2img": tuple(TextToImagePayload.model_fields),
    "/sdapi/v1/img2img": tuple(ImageToImagePayload.model_fields),
    "/sdapi/v1/extra-single-image": tuple(SingleRequest.model_fields),
    "/sdapi/v1/extra-batch-images": tuple(BatchRequest.model_fields),
    "/sdapi/v1/png-info": tuple(PngInfoRequest.model_fields),
    "/sdapi/v1/interrogate": tuple(InterrogateRequest.model_fields),
    "/sdapi/v1/options": ("sd_model_checkpoint", "sd_vae", "jpeg_quality", "samples_format", "sigma_min"),
    "/internal/progress": tuple(InternalProgressRequest.model_fields),
}
HOSTILE: list[Any] = [
    None, True, False, 0, 1, -1, 7, 64, 1000, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, -0.1, 1e308, 1.5,
    float("nan"), float("inf"), "", "0", "None", "Euler a", "Latent", "Lanczos", "\0", "\ud800", "🎨" * 50,
    "(" * 500, "[" * 300 + "a:b:5" + "]" * 300, "<lora:../../etc/passwd:1>", "http://127.0.0.1:9/x.png",
    "../../../../etc/passwd", "<img src=x onerror=alert(1)>", "Steps: 10**9, Sampler: x, Seed: y",
    "data:image/png;base64,AAAA", [], [None], ["x"], [[[[]]]], {}, {"a": {"b": [1]}}, {"args": [1]},
    {"outdir_samples": "/"}, {"sd_model_checkpoint": "nothing"}, {"CLIP_stop_at_last_layers": "many"},
]  # fmt: skip


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with open_studio(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    path = draw(st.sampled_from(sorted(ROUTES)))
    names = st.one_of(st.sampled_from(ROUTES[path]), st.text(max_size=5))
    values = st.one_of(st.sampled_from(HOSTILE), st.integers(), st.floats(), st.text(max_size=30))
    body = draw(st.dictionaries(names, values, max_size=5))
    plain: dict[str, Any] = {"steps": 1, "width": 64, "height": 64}
    if path.endswith("img2img"):
        plain["init_images"] = [picture()]
    return path, {**plain, **body}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies())
def test_no_json_brings_the_server_down(studio: Studio, sent: tuple[str, dict[str, Any]]) -> None:
    path, body = sent
    for name in ("steps", "n_iter", "batch_size"):
        if isinstance(body.get(name), int | float) and 2 < body[name] < 10_001:
            body[name] = 2  # allowed, and only takes time
    answer = studio.request("POST", path, content=json.dumps(body))
    assert answer.status_code < 500, answer.text
    if answer.status_code == 422:
        assert answer.json().get("field") or answer.json()["detail"][0]["loc"]


@pytest.mark.parametrize("path", sorted(ROUTES))
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"9" * 10_000],
    ids=["empty", "half", "list", "null", "number", "text", "binary", "deep list", "deep table", "digits"],
)
def test_no_body_brings_the_server_down(studio: Studio, path: str, content: bytes) -> None:
    answer = studio.request("POST", path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code < 500
    assert len(answer.content) < 10_000


LONG = "x" * 100_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sdapi/v1/txt2img", {"script_name": LONG}),
        ("/sdapi/v1/txt2img", {"scheduler": LONG}),
        ("/sdapi/v1/txt2img", {"alwayson_scripts": {LONG: {"args": []}}}),
        ("/sdapi/v1/txt2img", {"override_settings": {"sd_vae": LONG}}),
        ("/sdapi/v1/options", {"sd_model_checkpoint": LONG}),
        ("/sdapi/v1/extra-single-image", {"image": picture(), "upscaler_1": LONG}),
        ("/api/v1/jobs", {LONG: 1}),
        ("/api/v1/jobs", {f"key {number}": 1 for number in range(5000)}),
    ],
)
def test_a_refusal_does_not_repeat_at_length_what_was_sent(
    studio: Studio, path: str, body: dict[str, object]
) -> None:
    principal = Principal("local", "admin")
    headers = {"cookie": f"{studio.access.cookie}={studio.access.accounts.open_session(principal)}"}
    answer = studio.post(path, body, headers=headers)
    assert answer.status_code in (404, 422), answer.text[:300]
    assert len(answer.content) < 10_000
    assert "x" * 600 not in answer.text


def test_a_flood_of_requests_is_answered_to_the_last(tmp_path: Path) -> None:
    async def flood(client: httpx.AsyncClient) -> list[int]:
        payload = {"steps": 1, "width": 64, "height": 64}
        answers = await asyncio.gather(*(client.post("/sdapi/v1/txt2img", json=payload) for _ in range(150)))
        return [answer.status_code for answer in answers]

    with open_studio(tmp_path) as studio:  # its own: the tests above leave hostile settings behind
        statuses = studio.run(flood)
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) >= 100
