"""A file of every family, in its real layout with small widths, loads and predicts."""

from pathlib import Path

import pytest
import torch

from modules.checkpoints.loader import load_model
from modules.runtime.device import Runtime
from tests.checkpoints.random_checkpoint import small_shapes, write_random_checkpoint
from tests.checkpoints.tiny import checkpoint_file
from tests.families.manifests import manifest


@pytest.mark.parametrize("family", ["sd1", "sd2-depth", "sdxl-ssd-1b"])
def test_it_has_the_names_of_the_original(family: str) -> None:
    assert small_shapes(family).keys() == manifest(family).keys()


@pytest.mark.parametrize("family", ["sd1-edit", "sd2-depth", "sdxl-refiner", "sdxl-ssd-1b"])
def test_it_loads_and_predicts(tmp_path: Path, family: str) -> None:
    path = tmp_path / "model.safetensors"
    write_random_checkpoint(path, family)
    model = load_model(checkpoint_file(path), None, Runtime(torch.device("cpu")))
    config = model.unet.config
    ids = torch.full((1, 77), 49407)
    states = [encoder(encoder.embed_tokens(ids), ids) for encoder in model.text_encoders]
    context = torch.cat([state.hidden[-2] for state in states], dim=-1)
    y = torch.zeros(1, config.adm_channels) if config.adm_channels else None
    out = model.predict(torch.zeros(1, config.in_channels, 8, 8), torch.tensor([500.0]), context, y)
    assert out.shape == (1, 4, 8, 8)
    assert 0.05 < float(out.std()) < 50
    assert model.decode(out).isfinite().all()
