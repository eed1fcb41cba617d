from pathlib import Path

import numpy as np
import pytest
import torch

from modules.exceptions import TrainingError
from modules.training.compositions import plan_compositions
from modules.training.concepts import Concept, drawings_of
from modules.training.config import DenoiserRecipe
from modules.training.latent_diffusion import (
    CaptionedLatents,
    load_latent_diffusion,
    train_latent_diffusion,
)
from modules.training.latent_set import LatentSet
from modules.training.preview import draw_contact_sheet, sample_latents
from modules.training.whitening import Whitening
from tests.training.drawings import library

_RECIPE = DenoiserRecipe(
    model_channels=8,
    channel_mult=(1, 2),
    transformer_depth=(0, 1),
    num_heads=2,
    groups=4,
    text_width=16,
    text_layers=1,
    text_heads=2,
    text_steps=3,
    steps=6,
    batch=4,
    warmup=2,
    positions=24,
    full_positions_from=0.5,
    bfloat16=False,
    style_shares={"cartoon": 0.5, "flat": 0.2, "3d": 0.2, "line art": 0.1},
)
_CONCEPTS = (Concept("apple", "red apple"), Concept("ghost", "ghost"))


@pytest.fixture
def captioned() -> CaptionedLatents:
    drawings = drawings_of(_CONCEPTS, library())
    plans = plan_compositions(_CONCEPTS, drawings, library().pixels, views=6, seed=1)
    compositions = tuple(plan for plan, _ in plans)
    noise = torch.randn(len(compositions), 4, 8, 8, generator=torch.Generator().manual_seed(0))
    latents = LatentSet(noise.half(), compositions, Whitening(torch.zeros(4), torch.eye(4)))
    return CaptionedLatents.of(latents, _CONCEPTS, _RECIPE)


def test_training_stopped_at_a_step_and_continued_gives_the_same_bits(
    captioned: CaptionedLatents, tmp_path: Path
) -> None:
    whole = train_latent_diffusion(_RECIPE, captioned, tmp_path / "whole")

    def stop(model: object, step: int, is_last: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_latent_diffusion(_RECIPE, captioned, tmp_path / "parts", preview=stop, until=4)
    parts = train_latent_diffusion(_RECIPE, captioned, tmp_path / "parts")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name


def test_the_averaged_weights_can_be_loaded_again(captioned: CaptionedLatents, tmp_path: Path) -> None:
    trained = train_latent_diffusion(_RECIPE, captioned, tmp_path)
    loaded = load_latent_diffusion(_RECIPE, captioned.vocabulary.size, tmp_path)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name


def test_without_training_there_is_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="stage 'denoiser'"):
        load_latent_diffusion(_RECIPE, 10, tmp_path)


def test_styles_are_drawn_in_their_shares(captioned: CaptionedLatents) -> None:
    weights = captioned.latents.weights(_RECIPE.style_shares)
    for style, share in _RECIPE.style_shares.items():
        chosen = [item.style == style for item in captioned.latents.compositions]
        assert weights[chosen].sum() == pytest.approx(share)


def test_a_batch_depends_on_its_generator_only(captioned: CaptionedLatents) -> None:
    first, second = (captioned.sample(np.random.default_rng(3), 8, 24) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_the_same_seed_gives_the_same_picture_whatever_its_company(
    captioned: CaptionedLatents, tmp_path: Path
) -> None:
    model = train_latent_diffusion(_RECIPE, captioned, tmp_path).eval()
    _, rows = captioned.sample(np.random.default_rng(0), 3, 77)
    three = sample_latents(model, rows, rows[0], side=8, steps=3, cfg_scale=2, seed=5)
    one = sample_latents(model, rows[1:2], rows[0], side=8, steps=3, cfg_scale=2, seed=6)
    assert torch.allclose(three[1], one[0], atol=0.05)


def test_a_contact_sheet_has_room_for_every_picture(tmp_path: Path) -> None:
    from PIL import Image

    pictures = np.full((5, 64, 64, 3), 200, np.uint8)
    draw_contact_sheet(pictures, tuple("abcde"), tmp_path / "sheet.png", columns=2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width >= 2 * 64
        assert sheet.height >= 3 * 64
