"""The weights of the reference models, re-created from their rule."""

import hashlib
import json
from pathlib import Path

from tests.golden.weights import GOLDEN, write_embeddings_and_models


def test_every_model_file_has_the_bytes_of_the_reference(golden_root: Path) -> None:
    expected = json.loads((GOLDEN / "manifest.json").read_text())["files"]
    made = {name: digest for name, digest in expected.items() if not name.endswith(".yaml")}
    assert len(made) > 25
    for name, digest in made.items():
        path = golden_root / name.removeprefix("data/") if name.startswith("data/") else GOLDEN / name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, name


def test_files_that_are_there_are_kept(golden_root: Path) -> None:
    checkpoint = golden_root / "models" / "Stable-diffusion" / "tiny-sd1.safetensors"
    before = checkpoint.stat().st_mtime_ns
    write_embeddings_and_models(golden_root)
    assert checkpoint.stat().st_mtime_ns == before
