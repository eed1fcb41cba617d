import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.adapters.network_catalog import NetworkCatalog, lora_hashes
from modules.checkpoints.files import ModelStore
from modules.domain.extra_networks import extract_extra_networks
from modules.exceptions import NotFoundError

GOLDEN = Path(__file__).parents[1] / "golden" / "models"


def write(folder: Path, name: str, **metadata: str) -> Path:
    path = folder / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"x.alpha": torch.tensor(1.0)}, path, metadata or None)
    return path


def catalog_of(folder: Path, hashing: bool = True) -> NetworkCatalog:
    store = ModelStore.below(folder / "cache", hashing=hashing)
    return NetworkCatalog((folder / "Lora",), (folder / "hypernetworks",), store)


@pytest.fixture
def golden(tmp_path: Path) -> NetworkCatalog:
    """The reference's own files."""
    return NetworkCatalog((GOLDEN / "Lora",), (GOLDEN / "hypernetworks",), ModelStore.below(tmp_path))


def test_hashes_are_those_of_the_references_infotexts(golden: NetworkCatalog) -> None:
    tags = extract_extra_networks("<lora:tinylora:1> <lora:tinydora:0.5><hypernet:tinyhn:1>")[1]
    patches, comments = golden.patches_for(tags)
    assert comments == ()
    assert lora_hashes(patches) == "tinylora: 8f52a502e633, tinydora: 260e66d4d768"


def test_a_file_is_found_by_its_trainers_name_and_reported_as_mentioned(golden: NetworkCatalog) -> None:
    assert golden.find_lora("second_alias").name == "tinylora2"
    (patch,), _ = golden.patches_for(extract_extra_networks("<lora:second_alias:1>")[1])
    assert patch.name == "second_alias"
    assert patch.path.name == "tinylora2.safetensors"


@pytest.mark.parametrize(
    ("tag", "te", "unet", "dyn"),
    [
        ("<lora:tinylora>", 1.0, 1.0, None),
        ("<lora:tinylora:0.5>", 0.5, 0.5, None),
        ("<lora:tinylora:0.2:1.0>", 0.2, 1.0, None),
        ("<lora:tinylora:1:1:4>", 1.0, 1.0, 4),
        ("<lora:tinylora:te=0.3:unet=0.9>", 0.3, 0.9, None),
        ("<lora:tinylora:te=0.3>", 0.3, 0.3, None),
        ("<lora:tinylora:1:1:dyn=2>", 1.0, 1.0, 2),
        ("<lora:tinylora:-0.7>", -0.7, -0.7, None),
        ("<lyco:tinylora:0.5>", 0.5, 0.5, None),
    ],
)
def test_tags_say_strengths_by_position_or_by_name(
    golden: NetworkCatalog, tag: str, te: float, unet: float, dyn: int | None
) -> None:
    (patch,), comments = golden.patches_for(extract_extra_networks(tag)[1])
    assert (patch.te_multiplier, patch.unet_multiplier, patch.dyn_dim) == (te, unet, dyn)
    assert comments == ()


def test_hypernetworks_have_one_strength(golden: NetworkCatalog) -> None:
    (patch,), _ = golden.patches_for(extract_extra_networks("<hypernet:tinyhn:0.4>")[1])
    assert (patch.kind, patch.unet_multiplier) == ("hypernet", 0.4)


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("<lora:a:1> <lora:b:1>", "Lora not found: a, b"),
        ("<hypernet:h:1>", "Hypernetwork not found: h"),
        ("<magic:x:1>", "Skipping unknown extra network: magic"),
        ("<lora:tinylora:much>", "<lora:tinylora> was not used: could not convert string to float: 'much'"),
        ("<lora:tinylora:nan>", "<lora:tinylora> was not used: nan is no strength"),
        (
            "<lora:tinylora:1:1:dyn=x>",
            "<lora:tinylora> was not used: invalid literal for int() with base 10: 'x'",
        ),
    ],
)
def test_tags_that_cannot_be_followed_are_reported(golden: NetworkCatalog, text: str, comment: str) -> None:
    assert golden.patches_for(extract_extra_networks(text)[1]) == ((), (comment,))


def test_an_alias_of_two_files_finds_neither_but_their_names_do(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / "Lora", name, ss_output_name="same")
    catalog = catalog_of(tmp_path)
    with pytest.raises(NotFoundError, match="same"):
        catalog.find_lora("same")
    assert catalog.find_lora("two").alias == "same"


@pytest.mark.parametrize("alias", ["none", "Addams"])
def test_names_that_trainers_leave_behind_are_no_aliases(tmp_path: Path, alias: str) -> None:
    write(tmp_path / "Lora", "real", ss_output_name=alias)
    with pytest.raises(NotFoundError):
        catalog_of(tmp_path).find_lora(alias)


def test_files_in_sub_folders_and_added_later_are_found(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path)
    write(tmp_path / "Lora" / "people", "late")
    assert catalog.find_lora("late").path.parent.name == "people"
    assert [file.name for file in catalog.loras()] == ["late"]


def test_the_version_comes_from_the_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "Lora"
    write(folder, "xl", ss_base_model_version="sdxl_base_v1-0")
    write(folder, "two", ss_v2="True")
    write(folder, "one", ss_v2="False")
    write(folder, "unknown")
    assert {file.name: file.version for file in catalog_of(tmp_path).loras()} == {
        "xl": "sdxl",
        "two": "sd2",
        "one": "sd1",
        "unknown": "",
    }


def test_a_stored_hash_is_believed_and_no_hashing_computes_none(tmp_path: Path) -> None:
    write(tmp_path / "Lora", "stored", sshs_model_hash="0123456789abcdef")
    write(tmp_path / "Lora", "plain")
    catalog = catalog_of(tmp_path, hashing=False)
    assert catalog.find_lora("stored").shorthash == "0123456789ab"
    assert catalog.find_lora("plain").shorthash == ""


def test_a_damaged_file_is_listed_and_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path / "Lora", "good")
    (tmp_path / "Lora" / "bad.safetensors").write_bytes(b"nonsense")
    assert [file.name for file in catalog_of(tmp_path).loras()] == ["bad", "good"]


def test_notes_beside_a_file_are_read_and_damaged_ones_ignored(tmp_path: Path) -> None:
    path = write(tmp_path / "Lora", "noted")
    catalog = catalog_of(tmp_path)
    assert catalog.find_lora("noted").user_metadata == {}
    path.with_suffix(".json").write_text(json.dumps({"activation text": "word"}), encoding="utf-8")
    assert catalog.find_lora("noted").user_metadata == {"activation text": "word"}
    path.with_suffix(".json").write_text("{", encoding="utf-8")
    assert catalog.find_lora("noted").user_metadata == {}


def test_a_pickled_file_is_read_through_its_checked_copy(tmp_path: Path) -> None:
    (tmp_path / "Lora").mkdir()
    torch.save({"x.alpha": torch.tensor(1.0)}, tmp_path / "Lora" / "old.pt")
    (patch,), comments = catalog_of(tmp_path).patches_for(extract_extra_networks("<lora:old:1>")[1])
    assert (patch.path.suffix, comments) == (".safetensors", ())


def test_a_pickled_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    (tmp_path / "Lora").mkdir()
    (tmp_path / "Lora" / "bad.pt").write_bytes(b"nonsense")
    patches, (comment,) = catalog_of(tmp_path).patches_for(extract_extra_networks("<lora:bad:1>")[1])
    assert patches == ()
    assert comment.startswith('"bad" was not used: was refused')


def test_a_name_that_is_known_is_known_without_looking_at_the_disk(tmp_path: Path) -> None:
    write(tmp_path / "Lora", "one", ss_output_name="Uno")
    catalog = catalog_of(tmp_path)
    write(tmp_path / "Lora", "late")
    assert [catalog.knows("lora", name) for name in ("one", "Uno", "late")] == [True, True, False]
    assert catalog.knows("lyco", "one")
    assert not catalog.knows("hypernet", "one")
    assert not catalog.knows("other", "one")


def test_prompts_use_the_alias_only_where_it_means_one_file(tmp_path: Path) -> None:
    write(tmp_path / "Lora", "one", ss_output_name="Uno")
    write(tmp_path / "Lora", "two", ss_output_name="Same")
    write(tmp_path / "Lora", "three", ss_output_name="Same")
    catalog = catalog_of(tmp_path)
    names = {file.name: catalog.prompt_name(file, prefer_alias=True) for file in catalog.loras()}
    assert names == {"one": "Uno", "two": "two", "three": "three"}
    assert catalog.prompt_name(catalog.find_lora("one"), prefer_alias=False) == "one"
