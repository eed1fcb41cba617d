from collections.abc import Iterator
from typing import Any

import pytest
import torch

from modules.domain.principal import Principal
from tests.checkpoints.tiny import state_dict, write
from tests.conditioning.test_initial_vectors import TABLES
from tests.server.studio import Studio, open_studio

EMBEDDING, HYPERNETWORK = "/sdapi/v1/create/embedding", "/sdapi/v1/create/hypernetwork"


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio whose checkpoint has words; each test makes files of other names."""
    root = tmp_path_factory.mktemp("painter")
    state = {**state_dict("sd1"), TABLES["sd1"][""]: torch.randn(49408, 64)}
    write(root / "models" / "Stable-diffusion" / "a.safetensors", state)
    with open_studio(root, start=False) as studio:
        yield studio


def test_an_embedding_is_made_and_listed(painter: Studio) -> None:
    asked = {"name": "my cat", "num_vectors_per_token": 3, "init_text": "cat", "overwrite_old": False}
    answer = painter.post(EMBEDDING, asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["info"].startswith("create embedding filename: ")
    listed = painter.get("/sdapi/v1/embeddings").json()["loaded"]["my cat"]
    assert (listed["vectors"], listed["shape"], listed["step"]) == (3, 64, 0)
    file = painter.services.catalog.checkpoints()[0]
    assert (listed["sd_checkpoint"], listed["sd_checkpoint_name"]) == (file.shorthash, "a")
    again = painter.post(EMBEDDING, asked)
    assert (again.status_code, again.json()["field"]) == (422, "name")
    assert painter.post(EMBEDDING, {**asked, "overwrite_old": True}).status_code == 200


def test_a_hypernetwork_is_made_and_listed(painter: Studio) -> None:
    asked = {
        "name": "ink", "enable_sizes": ["320", "768"], "layer_structure": "1, 2, 1", "add_layer_norm": True,
        "activation_func": "relu", "weight_init": "XavierNormal", "use_dropout": True,
    }  # fmt: skip
    assert painter.post(HYPERNETWORK, asked).status_code == 200
    assert [item["name"] for item in painter.get("/sdapi/v1/hypernetworks").json()] == ["ink"]
    assert painter.post(HYPERNETWORK, {**asked, "name": "two", "layer_structure": [1, 1]}).status_code == 200


@pytest.mark.parametrize(
    ("path", "changes", "field"),
    [
        (EMBEDDING, {"name": "../.."}, "name"),
        (EMBEDDING, {"name": None}, "name"),
        (EMBEDDING, {"num_vectors_per_token": 0}, "num_vectors_per_token"),
        (EMBEDDING, {"num_vectors_per_token": 10**9}, "num_vectors_per_token"),
        (HYPERNETWORK, {"enable_sizes": ["12"]}, "enable_sizes"),
        (HYPERNETWORK, {"enable_sizes": []}, "enable_sizes"),
        (HYPERNETWORK, {"layer_structure": "2, 1"}, "layer_structure"),
        (HYPERNETWORK, {"layer_structure": "1, x, 1"}, "layer_structure"),
        (HYPERNETWORK, {"layer_structure": "1, nan, 1"}, "layer_structure"),
        (HYPERNETWORK, {"layer_structure": [1] * 9}, "layer_structure"),
        (HYPERNETWORK, {"layer_structure": [1, 16, 16, 1]}, "layer_structure"),
        (HYPERNETWORK, {"activation_func": "multiheadattention"}, "activation_func"),
        (HYPERNETWORK, {"weight_init": "Zero"}, "weight_init"),
        (HYPERNETWORK, {"use_dropout": True, "dropout_structure": "0, 2, 0"}, "dropout_structure"),
    ],
)
def test_impossible_wishes_are_refused(
    painter: Studio, path: str, changes: dict[str, Any], field: str
) -> None:
    embeddings = painter.services.options.folders.embeddings
    before = set(embeddings.glob("*"))
    answer = painter.post(path, {"name": "x", **changes})
    assert answer.status_code == 422
    assert field in answer.text
    assert set(embeddings.glob("*")) == before


def test_artists_make_no_files_of_models(painter: Studio) -> None:
    session = painter.access.accounts.open_session(Principal("ann", "artist"))
    artist = {"cookie": f"{painter.access.cookie}={session}"}
    for path in (EMBEDDING, HYPERNETWORK):
        assert painter.post(path, {"name": "x"}, headers=artist).status_code == 403
