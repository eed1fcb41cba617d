import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from modules.domain.job import JobState
from modules.domain.principal import LOCAL, Principal
from modules.jobs.queue import Outcome
from modules.services import Services
from modules.training.finetuning.curve import draw_curve, write_losses
from modules.training.finetuning.presets import PRESETS
from tests.checkpoints.tiny import state_dict, write
from tests.server.studio import Studio, open_studio
from tests.training.finetuning.folders import draw

JOBS, SETS = "/api/v1/training/jobs", "/api/v1/training/sets"


@dataclass
class Desk:
    """Whoever sits at the machine, with his session in the browser."""

    services: Services
    studio: Studio

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        session = self.studio.access.accounts.open_session(LOCAL)
        headers = {"cookie": f"{self.studio.access.cookie}={session}"}
        return self.studio.request(method, path, **{"headers": headers, **options})

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, path: str, body: object) -> httpx.Response:
        return self.request("POST", path, json=body)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Desk]:
    write(tmp_path / "models" / "Stable-diffusion" / "a.safetensors", state_dict("sd1"))
    with open_studio(tmp_path, start=False) as opened:
        yield Desk(opened.services, opened)


def _sent(studio: Desk, tmp_path: Path, name: str = "1_red_fox.png") -> str:
    content = draw(tmp_path / "mine.png").read_bytes()
    answer = studio.request("POST", f"{SETS}/foxes/pictures?file={name}", content=content)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["file"])


def _begun(studio: Desk, tmp_path: Path) -> str:
    _sent(studio, tmp_path)
    asked = {
        "recipe": {"kind": "lora", "name": "fox", "optimisation": {"steps": 9}, "data": {"resolution": 64}},
        "preset": "SD 1 or 2, 12 GB", "pictures": "foxes",
    }  # fmt: skip
    answer = studio.post(JOBS, asked)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_pictures_are_sent_captioned_and_taken_out_again(studio: Desk, tmp_path: Path) -> None:
    assert studio.get(f"{SETS}/foxes").json() == {"captions": {}}
    file = _sent(studio, tmp_path)
    assert studio.get(SETS).json() == ["foxes"]
    assert studio.get(f"{SETS}/foxes").json() == {"captions": {file: "red fox"}}
    written = studio.request("PUT", f"{SETS}/foxes", json={"captions": {file: "a  fox\nin snow"}})
    assert written.json() == {"captions": {file: "a fox in snow"}}
    small = studio.get(f"{SETS}/foxes/pictures/{file}")
    with Image.open(io.BytesIO(small.content)) as image:
        assert image.size == (48, 48)
    assert studio.request("DELETE", f"{SETS}/foxes/pictures/{file}").json() == {"captions": {}}
    assert studio.get(f"{SETS}/foxes").json() == {"captions": {}}


@pytest.mark.parametrize(
    ("method", "place", "body"),
    [
        ("POST", "/foxes/pictures?file=a.png", b"no picture"),
        ("POST", "/foxes/pictures?file=a.exe", b""),
        ("GET", "/foxes/pictures/..%2Fa.png", b""),
        ("GET", "/foxes/pictures/gone.png", b""),
        ("DELETE", "/foxes/pictures/gone.png", b""),
    ],
)
def test_what_is_no_picture_of_a_set_is_refused(studio: Studio, method: str, place: str, body: bytes) -> None:
    assert studio.request(method, SETS + place, content=body).status_code in (404, 422)


def test_names_cannot_lead_out_of_the_folder(studio: Desk, tmp_path: Path) -> None:
    file = _sent(studio, tmp_path, "..%2F..%2Fescape.png")
    assert file == "escape.png"
    folder = studio.services.options.folders.data / "training-sets"
    assert [path.name for path in folder.rglob("*.png")] == ["escape.png"]
    assert studio.get(f"{SETS}/...").status_code == 422


def test_a_training_is_queued_with_preset_and_own_values(studio: Desk, tmp_path: Path) -> None:
    job_id = _begun(studio, tmp_path)
    recipe = studio.services.training.recipe(job_id)
    assert (recipe.optimisation.steps, recipe.optimisation.batch, recipe.lora.rank) == (9, 2, 32)
    assert recipe.checkpoint.startswith("a.safetensors"), "it goes on with this one, whatever is chosen then"
    (line,) = studio.get("/api/v1/queue").json()["active"]
    assert (line["task"], line["prompt"]) == ("training", "fox")


def test_presets_begin_with_the_one_that_fits_and_say_what_other_kinds_need(studio: Desk) -> None:
    presets = studio.get("/api/v1/training/presets?checkpoint=a").json()
    assert next(iter(presets)) == "Embedded model, processor", "a.safetensors has few channels"
    assert set(presets) == set(PRESETS)
    kinds = presets["SDXL, 12 GB"]["kinds"]
    assert kinds["textual-inversion"] == {"optimisation": {"learning_rate": 0.005}}


def test_losses_and_samples_of_a_training_can_be_looked_at(studio: Desk, tmp_path: Path) -> None:
    job_id = _begun(studio, tmp_path)
    began = {"name": "fox", "kind": "lora", "losses": [], "sample": 0, "samples": [], "can_go_on": False}
    assert studio.get(f"{JOBS}/{job_id}").json() == began
    places = (f"{JOBS}/{job_id}/curve", f"{JOBS}/{job_id}/sample")
    for place in places:
        assert studio.get(place).status_code == 404
    folder = studio.services.training.folder_of(job_id)
    draw_curve([0.5, 0.25], folder / "loss.png")
    write_losses([0.5, 0.25], folder / "loss.csv")
    draw(folder / "samples" / "000100.png", seed=1)
    newest = draw(folder / "samples" / "000200.png").read_bytes()
    now = studio.get(f"{JOBS}/{job_id}").json()
    assert now == {**began, "losses": [0.5, 0.375], "sample": 200, "samples": [100, 200]}
    for place in places:
        assert studio.get(place).headers["content-type"] == "image/png"
    assert studio.get(places[1]).content == studio.get(f"{places[1]}?step=200").content == newest
    assert studio.get(f"{places[1]}?step=100").content != newest
    assert studio.get(f"{places[1]}?step=300").status_code == 404


def test_a_stopped_training_is_listed_and_queued_again(studio: Desk, tmp_path: Path) -> None:
    job_id = _begun(studio, tmp_path)
    assert studio.get(JOBS).json() == []
    folder = studio.services.training.folder_of(job_id)
    folder.mkdir(parents=True)
    (folder / "state.pt").write_bytes(b"weights")
    jobs = studio.services.jobs
    assert jobs.claim() is not None
    jobs.finish(job_id, Outcome(JobState.FAILED, error="power cut"))
    (line,) = studio.get(JOBS).json()
    assert (line["id"], line["name"], line["kind"]) == (job_id, "fox", "lora")
    assert studio.get(f"{JOBS}/{job_id}").json()["can_go_on"] is True
    second = studio.post(f"{JOBS}/{job_id}/continue", None)
    assert second.status_code == 201, second.text
    assert studio.services.training.folder_of(second.json()["id"]) == folder
    refused = studio.post(f"{JOBS}/{job_id}/continue", None)
    assert refused.status_code == 422
    assert "goes on already" in refused.text
    assert studio.request("DELETE", f"{JOBS}/{job_id}").status_code == 422
    jobs.cancel(second.json()["id"])
    assert studio.request("DELETE", f"{JOBS}/{job_id}").json() == []
    assert not folder.exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"recipe": {"kind": "lora", "name": "x"}, "pictures": "gone"}, "no pictures in the set"),
        ({"recipe": {"kind": "lora", "name": "x"}, "preset": "gone"}, "no preset"),
        ({"recipe": {"kind": "magic", "name": "x"}, "pictures": "foxes"}, "kind"),
        ({"recipe": {}}, "data: Field required"),
    ],
)
def test_a_training_that_cannot_be_done_is_refused_at_once(
    studio: Desk, tmp_path: Path, asked: dict[str, object], said: str
) -> None:
    _sent(studio, tmp_path)
    answer = studio.post(JOBS, asked)
    assert answer.status_code == 422
    assert said in answer.text


def test_a_captioning_model_that_is_not_installed_is_asked_for(studio: Desk, tmp_path: Path) -> None:
    file = _sent(studio, tmp_path)
    answer = studio.post(f"{SETS}/foxes/pictures/{file}/describe?method=clip", None)
    assert answer.status_code == 404
    assert "models" in answer.json()["detail"]
    assert studio.get(f"{SETS}/foxes").json() == {"captions": {file: "red fox"}}


def test_artists_do_not_train(studio: Desk) -> None:
    access = studio.studio.access
    headers = {"cookie": f"{access.cookie}={access.accounts.open_session(Principal('ann', 'artist'))}"}
    assert studio.request("POST", JOBS, json={"recipe": {}}, headers=headers).status_code == 403
    for place in (SETS, f"{SETS}/x", "/api/v1/training/presets"):
        assert studio.request("GET", place, headers=headers).status_code == 403
