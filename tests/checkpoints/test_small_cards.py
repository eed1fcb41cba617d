"""Whole pictures on cards with little memory. Needs a CUDA device, and takes of it what a small card has."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.loader import load_model
from modules.conditioning.encoder import PromptEncoder
from modules.runtime.device import Residency, choose_runtime
from tests.checkpoints.random_checkpoint import write_random_checkpoint
from tests.checkpoints.tiny import checkpoint_file

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

GIB = 2**30


@contextmanager
def card_of(size: int) -> Iterator[None]:
    """Let this process have so many bytes of the device."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.set_per_process_memory_fraction(size / torch.cuda.get_device_properties(0).total_memory)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize(
    ("family", "size", "side", "way"),
    [
        ("sd1", 2 * GIB, 512, "layers"),
        ("sd1", 4 * GIB, 512, "turns"),
        ("sdxl", 4 * GIB, 1024, "layers"),
        ("sdxl", 4 * GIB, 1024, "all"),  # finds out by itself
    ],
)
def test_a_picture_fits_a_small_card(
    tmp_path: Path, family: str, size: int, side: int, way: Residency
) -> None:
    path = tmp_path / f"{family}.safetensors"
    write_random_checkpoint(path, family, full=True)
    with card_of(size):
        model = load_model(checkpoint_file(path), None, choose_runtime("cuda", residency=way))
        encoder = PromptEncoder(model, EmbeddingCatalog((), model.file.store))
        text = encoder.positive("a cat", 2, width=side, height=side).parts[0][0].at(0)
        x = torch.randn(2, 4, side // 8, side // 8)
        vector = None if text.vector is None else text.vector.expand(2, -1)
        for _ in range(2):
            out = model.predict(x, torch.tensor([900.0, 900.0]), text.context.expand(2, -1, -1), vector)
        picture = model.decode(out[:1])
        assert torch.cuda.max_memory_allocated() <= size
    assert out.isfinite().all()
    assert picture.shape == (1, 3, side, side)
