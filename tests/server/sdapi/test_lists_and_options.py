import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from modules.domain.principal import Principal
from modules.domain.styles import Style
from modules.imaging.metadata import encode_image
from tests.checkpoints.tiny_describers import write_tagger
from tests.plugins.test_repository import clone, needs_git
from tests.server.sdapi.test_generate import picture
from tests.server.studio import Studio, open_studio

LISTS = (
    "samplers", "schedulers", "upscalers", "latent-upscale-modes", "sd-models", "sd-vae", "hypernetworks",
    "face-restorers", "realesrgan-models", "prompt-styles", "loras", "extensions", "script-info",
)  # fmt: skip


def admin(studio: Studio) -> dict[str, str]:
    session = studio.access.accounts.open_session(Principal("a", "admin"))
    return {"cookie": f"{studio.access.cookie}={session}"}


@pytest.mark.parametrize("name", LISTS)
def test_every_list_answers_with_a_list(standing: Studio, name: str) -> None:
    answer = standing.get(f"/sdapi/v1/{name}")
    assert answer.status_code == 200
    assert isinstance(answer.json(), list)


@pytest.mark.parametrize("name", ["embeddings", "cmd-flags", "options", "memory", "scripts"])
def test_every_table_answers_with_a_table(standing: Studio, name: str) -> None:
    answer = standing.get(f"/sdapi/v1/{name}")
    assert answer.status_code == 200
    assert isinstance(answer.json(), dict)


def test_samplers_and_schedules_are_listed_as_clients_expect(standing: Studio) -> None:
    samplers = {item["name"]: item for item in standing.get("/sdapi/v1/samplers").json()}
    assert "k_euler_a" in samplers["Euler a"]["aliases"]
    assert samplers["DPM++ 2M"]["options"]["scheduler"] == "karras"
    assert all(isinstance(text, str) for item in samplers.values() for text in item["options"].values())
    schedules = {item["label"]: item for item in standing.get("/sdapi/v1/schedulers").json()}
    assert schedules["Karras"]["default_rho"] == 7
    assert schedules["Uniform"]["default_rho"] == -1


def test_checkpoints_are_listed_and_the_one_in_use_is_an_option(studio: Studio) -> None:
    (item,) = studio.get("/sdapi/v1/sd-models").json()
    assert item["title"].startswith("tiny.safetensors")
    assert item["model_name"] == "tiny"
    assert Path(item["filename"]).is_absolute()
    assert studio.get("/sdapi/v1/options").json()["sd_model_checkpoint"].startswith("tiny.safetensors")


def test_the_checkpoint_in_use_is_found_by_its_hash_once_that_is_known(studio: Studio) -> None:
    assert studio.get("/sdapi/v1/options").json()["sd_checkpoint_hash"] == ""
    (file,) = studio.services.catalog.checkpoints()
    assert file.sha256 is not None
    options = studio.get("/sdapi/v1/options").json()
    (item,) = studio.get("/sdapi/v1/sd-models").json()
    assert options["sd_checkpoint_hash"] == item["sha256"] == file.sha256
    assert studio.post("/sdapi/v1/options", {"sd_checkpoint_hash": "of another"}).status_code == 200
    assert studio.services.settings.current.sd_checkpoint_hash == ""


def test_an_option_that_is_null_was_not_given(studio: Studio) -> None:
    before = studio.services.settings.current
    assert studio.post("/sdapi/v1/options", {"sd_vae": None, "jpeg_quality": None}).status_code == 200
    assert studio.services.settings.current == before
    overrides = {"sd_vae": None, "sd_model_checkpoint": None, "samples_format": "png"}
    answer = studio.post("/sdapi/v1/txt2img", {"steps": 1, "override_settings": overrides})
    assert answer.status_code == 200, answer.text


def test_a_requests_checkpoint_that_is_not_here_leaves_the_one_in_use(studio: Studio) -> None:
    for wanted in ("of another server.safetensors", "", "tiny"):
        overrides = {"sd_model_checkpoint": wanted, "CLIP_stop_at_last_layers": 2}
        answer = studio.post("/sdapi/v1/txt2img", {"steps": 1, "override_settings": overrides})
        assert answer.status_code == 200, answer.text
        job = studio.services.jobs.recent("local", 1)[0]
        frozen = studio.services.jobs.request(job.id).override_settings
        assert frozen["CLIP_stop_at_last_layers"] == 2
        assert str(frozen.get("sd_model_checkpoint", "tiny")).startswith("tiny")


@needs_git
def test_extensions_that_were_cloned_are_listed(studio: Studio) -> None:
    folder = studio.services.options.folders.extensions
    for name in ("cloned", "copied"):
        (folder / name).mkdir(parents=True)
        (folder / name / "extension.toml").write_text(f'name = "{name}"')
    commit = clone(folder / "cloned", "https://example.org/cloned.git")
    (listed,) = studio.get("/sdapi/v1/extensions").json()
    assert listed == {
        "name": "cloned", "remote": "https://example.org/cloned.git", "branch": "main", "commit_hash": commit,
        "version": commit[:8], "commit_date": "1700000000", "enabled": True,
    }  # fmt: skip


def test_styles_are_listed(studio: Studio) -> None:
    studio.services.styles.save(Style("ink", "ink drawing of {prompt}", "colour"))
    studio.services.styles.reload()
    assert {"name": "ink", "prompt": "ink drawing of {prompt}", "negative_prompt": "colour"} in studio.get(
        "/sdapi/v1/prompt-styles"
    ).json()


@pytest.mark.parametrize(
    "route", ["refresh-checkpoints", "refresh-vae", "refresh-embeddings", "refresh-loras"]
)
def test_folders_are_looked_at_again(studio: Studio, route: str) -> None:
    answer = studio.post(f"/sdapi/v1/{route}")
    assert (answer.status_code, answer.json()) == (200, None)


def test_a_new_checkpoint_is_found_after_a_refresh(studio: Studio) -> None:
    folder = studio.services.options.folders.models / "Stable-diffusion"
    (folder / "second.safetensors").write_bytes((folder / "tiny.safetensors").read_bytes())
    studio.post("/sdapi/v1/refresh-checkpoints")
    assert len(studio.get("/sdapi/v1/sd-models").json()) == 2


def test_an_option_is_changed_for_good_and_back(studio: Studio) -> None:
    before = studio.get("/sdapi/v1/options").json()["send_seed"]
    assert studio.post("/sdapi/v1/options", {"send_seed": not before}).json() is None
    assert studio.get("/sdapi/v1/options").json()["send_seed"] is (not before)
    studio.post("/sdapi/v1/options", {"send_seed": before})
    assert studio.get("/sdapi/v1/options").json()["send_seed"] is before


def test_all_options_can_be_sent_back_as_they_came(studio: Studio) -> None:
    options = studio.get("/sdapi/v1/options").json()
    assert studio.post("/sdapi/v1/options", options).status_code == 200


def test_a_checkpoint_is_chosen_by_any_of_its_names(studio: Studio) -> None:
    assert studio.post("/sdapi/v1/options", {"sd_model_checkpoint": "tiny"}).status_code == 200
    assert studio.services.settings.current.sd_model_checkpoint is not None
    answer = studio.post("/sdapi/v1/options", {"sd_model_checkpoint": "no such model"})
    assert answer.status_code == 404
    assert "no such model" in answer.json()["detail"]


def test_a_vae_is_chosen_only_if_it_is_there(studio: Studio) -> None:
    folder = studio.services.options.folders.models
    (folder / "VAE").mkdir()
    (folder / "VAE" / "soft.safetensors").write_bytes(
        (folder / "Stable-diffusion" / "tiny.safetensors").read_bytes()
    )
    studio.post("/sdapi/v1/refresh-vae")
    for wanted, status in (("soft.safetensors", 200), ("None", 200), ("Automatic", 200), ("hard", 404)):
        answer = studio.post("/sdapi/v1/options", {"sd_vae": wanted})
        assert answer.status_code == status
    assert "hard" in answer.json()["detail"]
    assert answer.json()["field"] == "sd_vae"
    assert studio.get("/sdapi/v1/options").json()["sd_vae"] == "Automatic"
    assert studio.post("/sdapi/v1/txt2img", {"steps": 1}).status_code == 200
    assert studio.post("/sdapi/v1/options", {"sd_unet": "TensorRT"}).status_code == 404


def test_options_can_be_sent_back_after_a_file_was_removed(studio: Studio) -> None:
    studio.services.settings.update({"sd_vae": "gone.safetensors"})
    options = studio.get("/sdapi/v1/options").json()
    assert studio.post("/sdapi/v1/options", {**options, "send_seed": False}).status_code == 200


def test_a_wrong_option_is_refused_and_nothing_changes(studio: Studio) -> None:
    answer = studio.post("/sdapi/v1/options", {"jpeg_quality": "best", "send_seed": False})
    assert (answer.status_code, answer.json()["field"]) == (422, "jpeg_quality")
    assert studio.get("/sdapi/v1/options").json()["send_seed"] is True
    assert studio.post("/sdapi/v1/options", {"no_such_option": 1}).status_code == 200


def test_an_artist_changes_no_settings_and_no_folders(tmp_path: Path) -> None:
    with open_studio(tmp_path) as studio:
        cookie = studio.access.accounts.open_session(Principal("ann", "artist"))
        artist = {"cookie": f"{studio.access.cookie}={cookie}"}
        for changes in ({"outdir_samples": "/"}, {"send_seed": False}):
            assert studio.post("/sdapi/v1/options", changes, headers=artist).status_code == 403
        for key in ("outdir_samples", "directories_filename_pattern", "samples_filename_pattern"):
            payload = {"steps": 1, "override_settings": {key: "/x"}}
            assert studio.post("/sdapi/v1/txt2img", payload, headers=artist).status_code == 403
        listed = studio.get("/sdapi/v1/sd-models", headers=artist).json()
        assert [item["filename"] for item in listed] == ["tiny.safetensors"]
        assert studio.post("/sdapi/v1/unload-checkpoint", headers=artist).status_code == 403


def test_an_override_is_for_its_own_request_only(studio: Studio) -> None:
    before = studio.services.settings.current
    payload = {
        "steps": 1,
        "override_settings": {"CLIP_stop_at_last_layers": 2},
        "override_settings_restore_afterwards": False,
    }
    assert studio.post("/sdapi/v1/txt2img", payload).status_code == 200
    assert studio.services.settings.current == before


def test_the_flags_hold_no_secret_and_no_path(tmp_path: Path) -> None:
    with open_studio(tmp_path, basic={"bot": "a secret password"}) as studio:
        answer = studio.get("/sdapi/v1/cmd-flags", auth=("bot", "a secret password"))
        assert answer.json()["api"] is True
        assert "secret" not in answer.text
        assert str(tmp_path) not in answer.text


def test_memory_is_told_in_bytes(standing: Studio) -> None:
    body = standing.get("/sdapi/v1/memory").json()
    assert body["ram"]["total"] > body["ram"]["used"] > 0


def test_models_are_dropped_on_demand(studio: Studio) -> None:
    assert studio.post("/sdapi/v1/unload-checkpoint").json() == {}
    assert studio.post("/sdapi/v1/reload-checkpoint").json() == {}
    assert studio.services.models.unloaded == 1  # type: ignore[attr-defined]


def test_the_page_of_internal_routes_answers(standing: Studio) -> None:
    assert standing.get("/internal/ping").json() == {}
    hints = standing.get("/internal/quicksettings-hint").json()
    assert {"name": "sd_model_checkpoint", "label": "Stable Diffusion checkpoint"} in hints


def test_a_pictures_parameters_are_read(standing: Studio) -> None:
    text = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, CFG scale: 7.0, Seed: 1, Size: 64x64"
    content = encode_image(Image.new("RGB", (8, 8)), "png", text)
    body = standing.post("/sdapi/v1/png-info", {"image": base64.b64encode(content).decode()}).json()
    assert body["info"] == text
    assert body["items"]["parameters"] == text
    assert (body["parameters"]["Prompt"], body["parameters"]["Size-1"]) == ("a cat", "64")


def test_a_picture_without_parameters_has_none(standing: Studio) -> None:
    for image in ("", None, picture()):
        body = standing.post("/sdapi/v1/png-info", {"image": image}).json()
        assert (body["info"], body["parameters"]) == ("", {})


def test_describing_a_picture_says_what_is_missing(studio: Studio) -> None:
    answer = studio.post("/sdapi/v1/interrogate", {"image": picture(), "model": "clip"})
    assert answer.status_code == 404
    assert "put config.json" in answer.json()["detail"]
    assert "models/BLIP" in answer.json()["detail"]
    assert answer.json()["field"] == "model"
    answer = studio.post("/sdapi/v1/interrogate", {"image": picture(), "model": "oracle"})
    assert (answer.status_code, answer.json()["detail"]) == (404, "Model not found")
    assert studio.post("/sdapi/v1/interrogate", {}).status_code == 404


def test_half_a_character_is_no_reason_to_fail(studio: Studio) -> None:
    for path, body in (
        ("/sdapi/v1/txt2img", '{"prompt": "\\ud800", "steps": 1, "alwayson_scripts": {"\\ud800": 1}}'),
        ("/sdapi/v1/options", '{"\\ud800": "\\udfff"}'),
        ("/sdapi/v1/png-info", '{"image": "\\ud800"}'),
        ("/internal/progress", '{"id_task": "\\ud800"}'),
    ):
        assert studio.request("POST", path, content=body).status_code < 500


def test_the_description_of_the_api_is_complete(studio: Studio) -> None:
    paths = studio.get("/openapi.json", headers=admin(studio)).json()["paths"]
    assert {f"/sdapi/v1/{name}" for name in LISTS} <= set(paths)
    operations = [operation for path in paths.values() for operation in path.values()]
    assert all(operation.get("description") for operation in operations)


def test_every_route_is_closed_to_strangers(tmp_path: Path) -> None:
    with open_studio(tmp_path, start=False, api_open=False) as studio:
        paths = studio.get("/openapi.json", headers=admin(studio)).json()["paths"]
        closed = 0
        for path, operations in paths.items():
            for method in operations:
                status = studio.request(method.upper(), path).status_code
                assert status == 401 or path == "/health", path
                closed += status == 401
        assert closed > 35


def test_other_formats_are_read_too(standing: Studio) -> None:
    text = "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7.0, Seed: 1"
    for format in ("jpeg", "webp"):
        content = encode_image(Image.new("RGB", (8, 8)), format, text)
        assert Image.open(io.BytesIO(content)).format == format.upper()
        body = standing.post("/sdapi/v1/png-info", {"image": base64.b64encode(content).decode()}).json()
        assert body["info"] == text


def test_a_picture_is_described_by_the_models_that_are_there(studio: Studio) -> None:
    write_tagger(studio.services.options.folders.models)
    answer = studio.post("/sdapi/v1/interrogate", {"image": picture(), "model": "deepdanbooru"})
    assert (answer.status_code, answer.json()["caption"]) == (200, r"1girl, long hair, smile \(big\)")
