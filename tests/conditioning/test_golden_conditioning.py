"""The tensors that the reference's text encoders gave for recorded requests."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.adapters.network_catalog import NetworkCatalog
from modules.adapters.patches import apply_patches
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.files import CheckpointFile, ModelStore
from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.conditioning.encoder import EncodingOptions, PromptEncoder
from modules.domain.extra_networks import extract_extra_networks
from modules.runtime.device import Runtime
from modules.settings.options import Settings

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = GOLDEN / "cases"
EVERY = 7  # the recording keeps every seventh token
NAMES = [
    "alternation-1",
    "and_composition-3",
    "break-1",
    "clip_skip-1",
    "emphasis_ignore-1",
    "emphasis_no_norm-1",
    "emphasis_none-1",
    "emphasis_original-1",
    "long_negative-1",
    "long_prompt-1",
    "long_prompt-5",
    "lora-5",
    "lora-7",
    "lora_type_tinylocon-1",
    "lora_type_tinyloha-1",
    "lora_type_tinylokr-1",
    "old_emphasis-1",
    "old_scheduling-1",
    "prompt_editing-11",
    "prompt_editing_negative-1",
    "prompt_oddities-1",
    "prompt_oddities-3",
    "prompt_oddities-9",
    "sd2_v-7",
    "sd2_v-11",
    "sdxl-1",
    "sdxl-9",
    "sdxl-17",
    "sdxl-19",
    "sdxl-27",
    "textual_inversion-1",
    "textual_inversion-3",
    "textual_inversion-5",
]


@cache
def loaded(path: Path) -> LoadedModel:
    """A golden checkpoint on the CPU."""
    store = ModelStore.below(path.parents[2] / "cache", hashing=True)
    return load_model(CheckpointFile(path, path.name, store), None, Runtime(torch.device("cpu")))


def relative_error(ours: torch.Tensor, theirs: np.ndarray) -> float:
    expected = torch.from_numpy(theirs)
    assert ours.shape == expected.shape
    return float((ours - expected).norm() / expected.norm().clamp(min=1e-9))


@pytest.mark.parametrize("name", NAMES)
def test_conditioning_of_the_first_call_is_the_references(golden_root: Path, name: str) -> None:
    request = json.loads((CASES / name / "request.json").read_text())
    overrides = request["override_settings"]
    model = loaded(golden_root / "models" / "Stable-diffusion" / overrides["sd_model_checkpoint"])
    store = ModelStore.below(golden_root / "cache")
    networks = NetworkCatalog((golden_root / "models" / "Lora",), (), store)
    tags = extract_extra_networks(request["prompt"])[1]
    assert apply_patches(model, networks.patches_for(tags)[0]) == ()
    encoder = PromptEncoder(
        model,
        EmbeddingCatalog((golden_root / "embeddings",), store),
        EncodingOptions.from_settings(Settings().overridden(overrides)),
    )
    steps, size = request["steps"], {"width": request["width"], "height": request["height"]}
    uncond = encoder.negative(request["negative_prompt"], steps, **size).at(0)
    conds = [part.at(0) for part, _ in encoder.positive(request["prompt"], steps, **size).parts]
    with np.load(GOLDEN / "units" / "conditioning.npz") as recorded:
        kind = "_crossattn" if f"{name}|cond_crossattn" in recorded else ""
        contexts = torch.stack([cond.context for cond in conds])
        assert relative_error(contexts[:, ::EVERY], recorded[f"{name}|cond{kind}"]) < 1e-5
        assert relative_error(uncond.context[None, ::EVERY], recorded[f"{name}|uncond{kind}"]) < 1e-5
        if kind:
            assert conds[0].vector is not None
            assert uncond.vector is not None
            assert relative_error(conds[0].vector[None], recorded[f"{name}|cond_vector"]) < 1e-5
            assert relative_error(uncond.vector[None], recorded[f"{name}|uncond_vector"]) < 1e-5
    infotext = (CASES / name / "infotext.txt").read_text()
    hashes = ", ".join(f"{word}: {digest}" for word, digest in encoder.used_embeddings)
    assert ("TI hashes" in infotext) == bool(hashes)
    assert hashes in infotext
