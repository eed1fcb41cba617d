import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.adapters.network_cards import NetworkCards, training_tags
from modules.adapters.network_catalog import NetworkCatalog
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.exceptions import NotFoundError
from modules.settings.launch import Folders


def lora(folder: Path, name: str, **metadata: str) -> Path:
    path = folder / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"x.alpha": torch.tensor(1.0)}, path, metadata or None)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders.below(tmp_path)


def cards_of(folders: Folders) -> NetworkCards:
    catalog = ModelCatalog(folders)
    networks = NetworkCatalog((folders.models / "Lora",), (folders.models / "hypernetworks",), catalog.store)
    return NetworkCards(
        networks,
        EmbeddingCatalog((folders.embeddings,), catalog.store),
        catalog,
        (folders.embeddings, folders.models / "Stable-diffusion"),
    )


def test_a_card_knows_its_folder_its_notes_and_its_version(folders: Folders) -> None:
    path = lora(folders.models / "Lora" / "art" / "ink", "brush", ss_v2="True", ss_output_name="Brush Pen")
    path.with_suffix(".json").write_text(json.dumps({"description": "black ink"}), "utf-8")
    lora(folders.models / "Lora" / ".old", "gone")
    first, second = cards_of(folders).cards("lora")
    assert (first.name, first.called, first.folder, first.version) == ("brush", "Brush Pen", "art/ink", "sd2")
    assert first.notes == {"description": "black ink"}
    assert not first.is_hidden
    assert second.is_hidden
    assert first.size == path.stat().st_size


def test_a_note_on_the_version_wins(folders: Folders) -> None:
    path = lora(folders.models / "Lora", "x", ss_v2="True")
    path.with_suffix(".json").write_text('{"sd version": "SDXL"}', "utf-8")
    assert cards_of(folders).card("lora", "x").version == "sdxl"


def test_the_newest_picture_beside_a_model_is_its_preview(folders: Folders) -> None:
    path = lora(folders.models / "Lora", "x")
    cards = cards_of(folders)
    assert cards.card("lora", "x").preview is None
    with pytest.raises(NotFoundError):
        cards.preview("lora", "x")
    old, new = path.with_suffix(".png"), path.with_name("x.preview.jpg")
    for place, changed in ((old, 1000), (new, 2000)):
        place.write_bytes(b"picture")
        os.utime(place, (changed, changed))
    assert cards.preview("lora", "x") == new
    assert cards.card("lora", "x").preview == 2000


def test_notes_are_changed_and_foreign_ones_kept(folders: Folders) -> None:
    path = lora(folders.models / "Lora", "x")
    notes = path.with_suffix(".json")
    notes.write_text('{"civitai id": 5, "notes": "old"}', "utf-8")
    cards = cards_of(folders)
    cards.write_notes("lora", "x", {"activation text": "日本", "notes": None})
    assert json.loads(notes.read_text("utf-8")) == {"civitai id": 5, "activation text": "日本"}
    assert cards.card("lora", "x").notes["activation text"] == "日本"


def test_all_four_kinds_have_cards(folders: Folders) -> None:
    lora(folders.models / "Lora", "a")
    lora(folders.models / "Stable-diffusion" / "sub", "model")
    lora(folders.embeddings, "word")
    (folders.models / "hypernetworks").mkdir(parents=True)
    (folders.models / "hypernetworks" / "hyper.pt").write_bytes(b"")
    cards = cards_of(folders)
    cards.refresh()
    found = {
        kind: [card.name for card in cards.cards(kind)] for kind in ("lora", "hypernetwork", "checkpoint")
    }
    assert found == {"lora": ["a"], "hypernetwork": ["hyper"], "checkpoint": ["sub/model.safetensors"]}
    assert cards.card("checkpoint", "sub/model.safetensors").folder == "sub"
    assert [card.name for card in cards.cards("textual_inversion")] == ["word"]


def test_text_of_a_request_never_becomes_a_path(folders: Folders) -> None:
    lora(folders.models / "Lora", "x")
    with pytest.raises(NotFoundError):
        cards_of(folders).write_notes("lora", "../../x", {"notes": "y"})


def test_training_tags_are_summed_over_folders_most_frequent_first() -> None:
    said = {"ss_tag_frequency": json.dumps({"10_a": {"cat": 3, " dog": 5}, "5_b": {"cat": 4}})}
    assert training_tags(said) == (("cat", 7), ("dog", 5))
    assert training_tags({"ss_tag_frequency": "[1]"}) == ()
    assert training_tags({"ss_tag_frequency": "{"}) == ()
