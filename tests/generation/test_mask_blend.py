"""Masks in latent space."""

import torch

from modules.domain.request import SoftInpainting
from modules.generation.mask_blend import HardBlend, SoftBlend

ORIGINAL, X = (
    torch.full((1, 4, 4, 4), 2.0),
    torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1)),
)


def half_mask() -> torch.Tensor:
    paint = torch.zeros(1, 4, 4, 4)
    paint[..., 2:] = 1
    return paint


def test_a_hard_mask_changes_only_the_painted_cells() -> None:
    blended = HardBlend(ORIGINAL, half_mask())(X, torch.tensor(1.0))
    assert torch.equal(blended[..., :2], ORIGINAL[..., :2])
    assert torch.equal(blended[..., 2:], X[..., 2:])


def test_a_soft_mask_agrees_with_a_hard_one_where_it_is_zero_or_one() -> None:
    blended = SoftBlend(ORIGINAL, half_mask(), SoftInpainting())(X, torch.tensor(1.0))
    torch.testing.assert_close(
        blended, HardBlend(ORIGINAL, half_mask())(X, torch.tensor(1.0)), rtol=1e-3, atol=1e-3
    )


def test_a_soft_mask_lets_more_through_at_low_noise() -> None:
    paint = torch.full((1, 4, 4, 4), 0.5)
    blend = SoftBlend(ORIGINAL, paint, SoftInpainting())
    early, late = blend(X, torch.tensor(14.0)), blend(X, torch.tensor(0.1))
    assert (late - X).abs().mean() < (early - X).abs().mean()


def test_a_soft_mask_leaves_the_final_latent_alone() -> None:
    assert torch.equal(SoftBlend(ORIGINAL, half_mask(), SoftInpainting()).finish(X), X)
