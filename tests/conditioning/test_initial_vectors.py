from pathlib import Path

import pytest
import torch

from modules.conditioning.initial_vectors import initial_vectors
from modules.conditioning.tokenizer import clip_tokenizer
from modules.exceptions import CheckpointError
from tests.checkpoints.tiny import checkpoint_file, state_dict, write

TABLES = {
    "sd1": {"": "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"},
    "sd2": {"": "cond_stage_model.model.token_embedding.weight"},
    "sdxl": {
        "clip_l": "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight",
        "clip_g": "conditioner.embedders.1.model.token_embedding.weight",
    },
}


@pytest.mark.parametrize("family", sorted(TABLES))
def test_a_new_embedding_begins_as_the_words(tmp_path: Path, family: str) -> None:
    state = state_dict(family)
    tables = {key: torch.randn(49408, 64) for key in TABLES[family]}
    state |= {TABLES[family][key]: table for key, table in tables.items()}
    file = checkpoint_file(write(tmp_path / "model.safetensors", state))
    red, cat = clip_tokenizer().encode("red cat")
    vectors = initial_vectors(file, "red cat", 4)
    assert set(vectors) == set(tables)
    for key, table in tables.items():
        assert torch.equal(vectors[key], table[[red, red, cat, cat]])
    assert all(not empty.any() for empty in initial_vectors(file, "", 2).values())


def test_a_checkpoint_of_few_words_is_refused(tmp_path: Path) -> None:
    file = checkpoint_file(write(tmp_path / "model.safetensors", state_dict("sd1")))
    with pytest.raises(CheckpointError, match="too few words"):
        initial_vectors(file, "cat", 1)
