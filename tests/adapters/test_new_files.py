from pathlib import Path

import pytest
import torch

from modules.adapters.hypernetwork import read_hypernetwork
from modules.adapters.new_files import (
    HypernetworkShape,
    adapter_file_name,
    write_embedding,
    write_hypernetwork,
)
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.files import ModelStore
from modules.exceptions import RequestError

ORIGIN = ("0123456789", "tiny")


def test_a_new_embedding_is_found_under_its_name(tmp_path: Path) -> None:
    vectors = torch.rand(3, 768)
    write_embedding(tmp_path / "e", "my cat", {"": vectors}, checkpoint=ORIGIN, replace=False)
    catalog = EmbeddingCatalog((tmp_path / "e",), ModelStore.below(tmp_path / "cache"))
    embedding = catalog.get("my cat")
    assert (embedding.count, embedding.width, embedding.content.step) == (3, 768, 0)
    assert embedding.content.checkpoint_name == "tiny"
    assert torch.equal(embedding.content.vectors[""], vectors)


def test_an_embedding_for_two_encoders_keeps_both(tmp_path: Path) -> None:
    vectors = {"clip_l": torch.rand(2, 768), "clip_g": torch.rand(2, 1280)}
    write_embedding(tmp_path / "e", "cat", vectors, checkpoint=ORIGIN, replace=False)
    embedding = EmbeddingCatalog((tmp_path / "e",), ModelStore.below(tmp_path / "cache")).get("cat")
    assert (embedding.count, embedding.width) == (2, 2048)


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    one, two = ({"": torch.full((1, 4), value)} for value in (1.0, 2.0))
    path = write_embedding(tmp_path, "cat", one, checkpoint=ORIGIN, replace=False)
    before = path.read_bytes()
    with pytest.raises(RequestError, match="exists already"):
        write_embedding(tmp_path, "cat", two, checkpoint=ORIGIN, replace=False)
    assert path.read_bytes() == before
    write_embedding(tmp_path, "cat", two, checkpoint=ORIGIN, replace=True)
    assert path.read_bytes() != before
    (tmp_path / "dog.safetensors").touch()
    with pytest.raises(RequestError):
        write_embedding(tmp_path, "dog", two, checkpoint=ORIGIN, replace=False)


@pytest.mark.parametrize(
    "shape",
    [
        HypernetworkShape(sizes=(320, 768)),
        HypernetworkShape(sizes=(320,), layers=(1, 1.5, 2, 1), activation="relu", layer_norm=True),
        HypernetworkShape(sizes=(320,), activation="swish", dropout=(0, 0.3, 0), weight_init="KaimingNormal"),
        HypernetworkShape(sizes=(320,), activation="leakyrelu", weight_init="KaimingUniform"),
        HypernetworkShape(sizes=(320,), weight_init="XavierNormal"),
        HypernetworkShape(sizes=(320,), weight_init="XavierUniform"),
    ],
)
def test_a_new_hypernetwork_can_be_used(tmp_path: Path, shape: HypernetworkShape) -> None:
    path = write_hypernetwork(tmp_path / "h", "ink", shape, replace=False)
    copy = ModelStore.below(tmp_path / "cache").gate.tree_file(path)
    network = read_hypernetwork(copy, path)
    assert set(network.pairs) == set(shape.sizes)
    x = torch.rand(2, 320)
    keys, values = network.pairs[320]
    assert not torch.equal(keys(x, 1.0), x)
    assert not torch.equal(keys(x, 1.0), values(x, 1.0))
    assert torch.equal(keys(x, 0.0), x)


def test_a_name_leads_to_no_other_folder() -> None:
    assert adapter_file_name("../../my cat?") == "my cat"
    for name in ("", "../..", "<>", "x" * 101):
        with pytest.raises(RequestError) as refused:
            adapter_file_name(name)
        assert refused.value.field == "name"
