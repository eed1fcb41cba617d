"""Finding checkpoints and VAEs by all the names people know them by."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.hashes import legacy_hash, sha256_of
from modules.exceptions import NotFoundError
from modules.settings.launch import Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    models = tmp_path / "models" / "Stable-diffusion"
    for name in ("model10.safetensors", "model2.safetensors", "anime/other.ckpt", "model2.vae.safetensors",
                 ".hidden.safetensors", "notes.txt"):  # fmt: skip
        path = models / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 3)
    vaes = tmp_path / "models" / "VAE"
    vaes.mkdir()
    for name in ("sharp.pt", "model10-soft.ckpt"):
        (vaes / name).write_bytes(name.encode())
    return Folders.below(tmp_path)


def test_checkpoints_are_listed_in_natural_order_without_vaes(folders: Folders) -> None:
    names = [file.name for file in ModelCatalog(folders).checkpoints()]
    assert names == ["anime/other.ckpt", "model2.safetensors", "model10.safetensors"]


def test_what_comes_with_the_program_is_listed_while_there_is_nothing_else(folders: Folders) -> None:
    with_program = replace(folders, embedded=folders.models / "Stable-diffusion")
    elsewhere = replace(with_program, models=folders.data / "models")
    assert [file.name for file in ModelCatalog(elsewhere).checkpoints()][1:] == [
        "model2.safetensors",
        "model10.safetensors",
    ]
    own = elsewhere.models / "Stable-diffusion" / "own.safetensors"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"own")
    assert [file.name for file in ModelCatalog(elsewhere).checkpoints()] == ["own.safetensors"]


def test_vaes_are_those_of_their_folder_and_those_beside_checkpoints(folders: Folders) -> None:
    names = [file.name for file in ModelCatalog(folders).vaes()]
    assert names == ["model2.vae.safetensors", "model10-soft.ckpt", "sharp.pt"]


def test_every_way_to_name_a_checkpoint_finds_it(folders: Folders) -> None:
    catalog = ModelCatalog(folders)
    path = folders.models / "Stable-diffusion" / "anime" / "other.ckpt"
    digest, legacy = sha256_of(path), legacy_hash(path)
    short = digest[:10]
    unhashed = ["anime/other.ckpt", "anime_other", "other", legacy, f"anime/other.ckpt [{legacy}]"]
    assert {catalog.find_checkpoint(wanted).path for wanted in unhashed} == {path}
    assert catalog.find_checkpoint("other").sha256 == digest
    hashed = [digest, short, f"anime/other.ckpt [{short}]", f"other [{short}]"]
    assert {catalog.find_checkpoint(wanted).path for wanted in hashed} == {path}


def test_a_part_of_a_title_finds_the_shortest_one(folders: Folders) -> None:
    catalog = ModelCatalog(folders)
    assert catalog.find_checkpoint("model").name == "model2.safetensors"
    assert catalog.find_checkpoint("el10").name == "model10.safetensors"


def test_a_hash_that_does_not_fit_is_left_away(folders: Folders) -> None:
    assert ModelCatalog(folders).find_checkpoint("model10 [0123456789]").name == "model10.safetensors"


def test_titles_show_the_hash_once_it_is_known(folders: Folders) -> None:
    file = ModelCatalog(folders).find_checkpoint("model2")
    assert (file.title, file.short_title) == ("model2.safetensors", "model2")
    short = file.shorthash
    assert short == sha256_of(file.path)[:10]
    assert (file.title, file.short_title) == (f"model2.safetensors [{short}]", f"model2 [{short}]")


def test_without_hashing_no_file_is_hashed(folders: Folders) -> None:
    file = ModelCatalog(folders, hashing=False).find_checkpoint("model2")
    assert (file.sha256, file.shorthash) == (None, None)
    ModelCatalog(folders).find_checkpoint("model2").sha256  # noqa: B018  - computes and remembers it
    assert ModelCatalog(folders, hashing=False).find_checkpoint("model2").sha256 is not None


@pytest.mark.parametrize("wanted", ["", "nowhere", "[0123456789]", "\ud800"])
def test_an_unknown_name_is_an_error_with_the_choice(folders: Folders, wanted: str) -> None:
    with pytest.raises(NotFoundError, match=r"there are: anime/other\.ckpt, model2") as caught:
        ModelCatalog(folders).find_checkpoint(wanted, "refiner_checkpoint")
    assert caught.value.field == "refiner_checkpoint"


def test_an_empty_models_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="put one into the models folder"):
        ModelCatalog(Folders.below(tmp_path)).find_checkpoint("x")


def test_new_files_appear_on_refresh(folders: Folders) -> None:
    catalog = ModelCatalog(folders)
    (folders.models / "Stable-diffusion" / "new.safetensors").write_bytes(b"")
    assert "new.safetensors" not in [file.name for file in catalog.checkpoints()]
    catalog.refresh()
    assert "new.safetensors" in [file.name for file in catalog.checkpoints()]


def test_links_in_a_circle_are_followed_once(folders: Folders) -> None:
    models = folders.models / "Stable-diffusion"
    (models / "loop").symlink_to(models, target_is_directory=True)
    assert len(ModelCatalog(folders).checkpoints()) == 3


def test_a_diffusers_folder_is_one_checkpoint(folders: Folders) -> None:
    folder = folders.models / "Stable-diffusion" / "pipeline"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"unet")
    file = ModelCatalog(folders).find_checkpoint("pipeline")
    assert file.is_folder
    assert file.sha256 == sha256_of(folder / "unet" / "diffusion_pytorch_model.safetensors")


def _vae(folders: Folders, checkpoint: str, setting: str, *, overrides: bool = True) -> str | None:
    catalog = ModelCatalog(folders)
    found = catalog.resolve_vae(catalog.find_checkpoint(checkpoint), setting, overrides_per_model=overrides)
    return None if found is None else found.name


def test_automatic_takes_the_vae_named_like_the_checkpoint(folders: Folders) -> None:
    assert _vae(folders, "model2", "Automatic") == "model2.vae.safetensors"
    assert _vae(folders, "model10", "Automatic") == "model10-soft.ckpt"
    assert _vae(folders, "other", "Automatic") is None


def test_the_setting_wins_over_the_checkpoint_unless_told_otherwise(folders: Folders) -> None:
    assert _vae(folders, "model2", "sharp.pt") == "sharp.pt"
    assert _vae(folders, "model2", "None") is None
    assert _vae(folders, "model2", "sharp.pt", overrides=False) == "model2.vae.safetensors"
    assert _vae(folders, "other", "sharp.pt", overrides=False) == "sharp.pt"


def test_what_the_user_noted_beside_the_checkpoint_counts(folders: Folders) -> None:
    note = folders.models / "Stable-diffusion" / "model2.json"
    note.write_text(json.dumps({"vae": "sharp.pt"}))
    assert _vae(folders, "model2", "Automatic") == "sharp.pt"
    note.write_text(json.dumps({"vae": "None"}))
    assert _vae(folders, "model2", "Automatic") is None
    note.write_text("nonsense")
    assert _vae(folders, "model2", "Automatic") == "model2.vae.safetensors"


def test_the_command_line_wins_over_all(folders: Folders, tmp_path: Path) -> None:
    catalog = ModelCatalog(folders, vae_path=tmp_path / "mine.pt")
    found = catalog.resolve_vae(catalog.find_checkpoint("model2"), "None")
    assert found is not None
    assert found.name == "mine.pt"


def test_a_vae_that_is_not_there_is_an_error(folders: Folders) -> None:
    with pytest.raises(NotFoundError, match=r"no VAE 'gone\.pt'; there are: model2"):
        _vae(folders, "model2", "gone.pt")
