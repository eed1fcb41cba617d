"""Who does not look after the server never learns where its files are."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.domain.principal import Principal, Role
from tests.server.route_table import full_app
from tests.server.studio import Studio, open_studio
from tests.server.test_files import finished_picture


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio that has one of everything."""
    root: Path = tmp_path_factory.mktemp("studio")
    for folder in ("models/Lora", "models/VAE", "models/ESRGAN", "models/Stable-diffusion", "embeddings"):
        (root / folder).mkdir(parents=True)
        save_file({"emb_params": torch.zeros(1, 768)}, root / folder / "thing.safetensors")
    (root / "models" / "hypernetworks").mkdir()
    torch.save({"broken": 1}, root / "models" / "hypernetworks" / "thing.pt")
    with open_studio(root) as studio:
        yield studio


def test_no_answer_to_an_artist_holds_a_path(furnished: Studio) -> None:
    root = str(furnished.services.options.folders.data.parent)
    session = furnished.access.accounts.open_session(Principal("ann", "artist"))
    headers = {"cookie": f"{furnished.access.cookie}={session}"}
    image = finished_picture(furnished, "ann")
    job = furnished.services.jobs.recent("ann")[0].id
    names = {"job_id": job, "image_id": image.id, "name": "thing", "tab": "txt2img"}
    body = {"prompt": "<lora:thing:1>", "steps": 1, "name": "thing", "image": "?", "ids": [image.id]}
    asked = 0
    for path, operations in full_app(furnished).openapi()["paths"].items():
        for method in operations:
            if path.endswith("/events"):
                continue  # the same as the job itself
            place = path
            for name, value in names.items():
                place = place.replace(f"{{{name}}}", value)
            answer = furnished.request(method.upper(), place, headers=headers, json=body)
            assert root not in answer.text, path
            assert json.dumps(root)[1:-1] not in answer.text, path
            asked += 1
    assert asked > 80


def test_an_artist_reads_of_a_folder_what_it_is_called_and_an_administrator_where_it_is(
    tmp_path: Path,
) -> None:
    with open_studio(tmp_path) as studio:
        inside = str(studio.services.options.folders.outputs / "mine" / "grids")
        folders = {
            "outdir_samples": "/srv/secret/place",
            "outdir_grids": inside,
            "outdir_save": "kept/here",
            "outdir_init_images": "C:\\secret\\starts",
            "outdir_txt2img_samples": str(studio.services.options.folders.outputs) + "/../secret/x",
        }
        studio.services.settings.update(folders)
        seen = {}
        roles: tuple[Role, ...] = ("artist", "admin")
        for role in roles:
            session = studio.access.accounts.open_session(Principal("ann", role))
            headers = {"cookie": f"{studio.access.cookie}={session}"}
            flat = studio.get("/sdapi/v1/options", headers=headers).json()
            listed = studio.get("/api/v1/settings", headers=headers).json()["settings"]
            assert {
                one["key"]: one["value"] for one in listed if one["key"] in folders
            }.items() <= flat.items()
            seen[role] = {key: flat[key] for key in folders}
    assert seen["admin"] == folders
    assert list(seen["artist"].values()) == ["place", "mine/grids", "kept/here", "starts", "x"]


@pytest.mark.parametrize(
    "body",
    [
        {"override_settings": {"sd_model_checkpoint": "thing"}},
        {"override_settings": {"sd_vae": "no such file"}},
        {"refiner_checkpoint": "no such file", "refiner_switch_at": 0.5},
        {"prompt": "<hypernet:thing:1> <lora:thing:1> <lora:gone:1>"},
        {"enable_hr": True, "hr_upscaler": "no such upscaler"},
        {"styles": ["gone"], "script_name": "gone"},
    ],
)
def test_no_refusal_holds_a_path(furnished: Studio, body: dict[str, object]) -> None:
    session = furnished.access.accounts.open_session(Principal("ann", "artist"))
    headers = {"cookie": f"{furnished.access.cookie}={session}"}
    answer = furnished.post("/sdapi/v1/txt2img", {"steps": 1, **body}, headers=headers)
    assert answer.status_code < 500
    assert str(furnished.services.options.folders.data.parent) not in answer.text
