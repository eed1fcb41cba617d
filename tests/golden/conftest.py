"""The reference's models and embeddings on disk, made once and kept between runs."""

from pathlib import Path

import pytest

from tests.golden.weights import write_embeddings_and_models

CACHE = Path(__file__).parents[1] / ".weights" / "golden"


@pytest.fixture(scope="session")
def golden_root() -> Path:
    """Folder with ``models/``, ``embeddings/`` and ``styles.csv`` as the reference had them."""
    write_embeddings_and_models(CACHE)
    return CACHE
