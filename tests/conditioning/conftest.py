"""The reference's small models, made once and kept between runs."""

from pathlib import Path

import pytest

from tests.golden.weights import write_embeddings_and_models

CACHE = Path(__file__).parents[1] / ".weights" / "golden"


@pytest.fixture(scope="session")
def golden_root() -> Path:
    """Folder with ``models/`` and ``embeddings/`` as the reference had them."""
    write_embeddings_and_models(CACHE)
    return CACHE
