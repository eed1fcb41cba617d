import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.loader import load_model
from modules.conditioning.tokenizer import clip_tokenizer
from modules.networks.vae import AutoencoderKL
from modules.runtime.device import choose_runtime
from modules.settings.launch import Folders
from modules.training.autoencoder import build_autoencoder
from modules.training.config import AutoencoderRecipe, DataRecipe, DenoiserRecipe, EmbeddedRecipe
from modules.training.export import checkpoint_metadata, checkpoint_tensors, export_checkpoint
from modules.training.latent_diffusion import LatentDiffusion, build_latent_diffusion
from modules.training.vocabulary import CompactVocabulary
from modules.training.whitening import Whitening

_RECIPE = EmbeddedRecipe(
    data=DataRecipe(side=64),
    autoencoder=AutoencoderRecipe(channels=8, channel_mult=(1, 1, 1, 2), groups=4),
    denoiser=DenoiserRecipe(
        model_channels=8,
        channel_mult=(1, 2),
        transformer_depth=(0, 1),
        num_heads=2,
        groups=4,
        text_width=16,
        text_layers=1,
        text_heads=2,
    ),
)
_VOCABULARY = CompactVocabulary.of(["a red apple"], clip_tokenizer())
_WHITENING = Whitening(torch.tensor([0.5, -1.0, 0.0, 2.0]), torch.eye(4) * 0.5 + 0.1)


def _networks() -> tuple[LatentDiffusion, AutoencoderKL]:
    torch.manual_seed(0)
    model = build_latent_diffusion(_RECIPE.denoiser, _VOCABULARY.size).eval()
    for parameter in model.unet.parameters():  # layers that begin at zero would hide mistakes
        torch.nn.init.normal_(parameter, std=0.1)
    return model, build_autoencoder(_RECIPE.autoencoder).eval()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    model, autoencoder = _networks()
    tensors = checkpoint_tensors(model, autoencoder, _VOCABULARY, _WHITENING)
    folders = Folders.below(tmp_path)
    path = folders.models / "Stable-diffusion" / "tiny.safetensors"
    export_checkpoint(tensors, checkpoint_metadata(_RECIPE), path)
    return folders


@torch.no_grad()
def test_the_loaded_file_is_the_trained_model(folders: Folders) -> None:
    model, autoencoder = _networks()
    loaded = load_model(ModelCatalog(folders).find_checkpoint("tiny"), None, choose_runtime("cpu", "full"))
    assert (loaded.prediction, loaded.native_size, loaded.family.name) == ("v", 64, "sd1")

    tokenizer = clip_tokenizer()
    rows = _VOCABULARY.encode("red apple zebra", tokenizer, 77)[None]
    ids = torch.tensor([[49406, *tokenizer.encode("red apple zebra"), 49407]])
    ids = torch.nn.functional.pad(ids, (0, 77 - ids.shape[1]), value=49407)
    text = loaded.text_encoders[0]
    states = text(text.embed_tokens(ids), ids)
    context = text.normalise(states.hidden[-1])
    assert torch.allclose(context, model.encode(rows), atol=0.02)

    x, t = torch.randn(1, 4, 8, 8), torch.tensor([500.0])
    assert torch.allclose(loaded.unet(x, t, context), model.unet(x, t, context), atol=0.05)

    pixels = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 3, 64, 64))).float()
    expected = _WHITENING.apply(autoencoder.encode(pixels)[0])
    assert torch.allclose(loaded.vae.encode(pixels)[0] * loaded.latent_scale, expected, atol=0.02)


def test_the_file_says_who_made_the_drawings_and_what_shapes_cannot_say(folders: Folders) -> None:
    with safe_open(folders.models / "Stable-diffusion" / "tiny.safetensors", "pt") as file:
        metadata = file.metadata()
        assert file.get_slice(
            "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
        ).get_shape() == [49408, 16]
    assert all(owner in metadata["attribution"] for owner in ("Google", "Microsoft", "Unicode", "OpenAI"))
    architecture = json.loads(metadata["studio.architecture"])
    assert architecture["unet_groups"] == 4
    assert architecture["prediction"] == "v"


def test_nothing_is_left_half_written(folders: Folders) -> None:
    assert [path.name for path in (folders.models / "Stable-diffusion").iterdir()] == ["tiny.safetensors"]


def test_everybody_may_read_the_file(folders: Folders) -> None:
    path = folders.models / "Stable-diffusion" / "tiny.safetensors"
    assert path.stat().st_mode & 0o044 == 0o044


def test_folding_does_not_touch_the_whitening(folders: Folders) -> None:
    assert dataclasses.astuple(_WHITENING)[0].tolist() == [0.5, -1.0, 0.0, 2.0]
