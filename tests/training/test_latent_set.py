import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from modules.training.compositions import Composition, Thing
from modules.training.concepts import Concept
from modules.training.config import DataRecipe
from modules.training.held_out import is_style_held_out
from modules.training.latent_set import LatentSet, encode_compositions, load_latent_set, planned_pictures
from modules.training.whitening import Whitening
from tests.training.drawings import library

CONCEPTS = (Concept("apple", "red apple"), Concept("ghost", "ghost"))
DATA = DataRecipe(side=64, views=2, two_objects=3)


class _Coarse(nn.Module):
    """An autoencoder for the tests: mean colours of a grid, and their mean."""

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        coarse = nn.functional.adaptive_avg_pool2d(pictures, 8)
        mean = torch.cat([coarse, coarse.square().mean(1, keepdim=True)], 1)
        return mean, torch.zeros_like(mean)


def test_the_latents_that_were_written_are_read_again_with_what_they_show(tmp_path: Path) -> None:
    written = encode_compositions(_Coarse(), library(), CONCEPTS, tmp_path, DATA)  # type: ignore[arg-type]
    read = load_latent_set(tmp_path, 64)
    assert torch.equal(read.latents, written.latents)
    assert read.compositions == written.compositions
    assert read.compositions == tuple(plan for plan, _ in planned_pictures(CONCEPTS, library(), DATA))
    assert [item.second is not None for item in read.compositions] == [False] * 12 + [True] * 3


def test_latents_from_before_there_were_two_things_can_be_read(tmp_path: Path) -> None:
    record = {"concept": "apple", "style": "flat", "drawing": 3, "background": "red", "colour": None,
              "own_colour": "red", "size": "small"}  # fmt: skip
    (tmp_path / "latents-64.json").write_text(json.dumps([record]), encoding="utf-8")
    state = {"latents": torch.zeros(1, 4, 8, 8), "mean": torch.zeros(4), "matrix": torch.eye(4)}
    torch.save(state, tmp_path / "latents-64.pt")
    expected = Composition("apple", "flat", 3, "red", own_colour="red", size="small")
    assert load_latent_set(tmp_path, 64).compositions == (expected,)


def test_drawings_that_are_held_out_are_in_no_picture() -> None:
    data = DataRecipe(views=3, held_out_styles=0.99, two_objects=5)
    plans = [plan for plan, _ in planned_pictures(CONCEPTS, library(), data)]
    assert {(plan.concept, plan.style) for plan in plans} == {
        (concept, style)
        for concept, style in (
            *(("apple", style) for style in ("cartoon", "flat", "3d", "line art")),
            ("ghost", "cartoon"),
            ("ghost", "line art"),
        )
        if not is_style_held_out(concept, style, 0.99)
    }


@pytest.mark.parametrize("share", [0.0, 0.12, 0.5])
def test_pictures_of_two_things_have_their_share_of_every_style_that_has_some(share: float) -> None:
    two = Thing("ghost", 1)
    compositions = (
        Composition("apple", "flat", 0),
        Composition("apple", "flat", 0, background="red"),
        Composition("apple", "flat", 0, second=two),
        Composition("apple", "flat", 0, background="red", second=two),
        Composition("apple", "3d", 2),
    )
    latents = LatentSet(torch.zeros(5, 4, 2, 2), compositions, Whitening(torch.zeros(4), torch.eye(4)))
    weights = latents.weights({"flat": 0.6, "3d": 0.4}, share)
    assert weights[2:4] == pytest.approx([0.6 * share / 2] * 2)
    assert weights[:2] == pytest.approx([0.6 * (1 - share) * 0.75, 0.6 * (1 - share) * 0.25])
    assert weights[4] == pytest.approx(0.4)
    assert np.isclose(weights.sum(), 1)
