import random
import warnings

import pytest
import torch
from torch import Tensor

from modules.diffusion.noise_brownian import BrownianTree

LOW, HIGH = 0.029167, 14.6146


def randn(seed: int) -> Tensor:
    return torch.randn((4, 8, 8), generator=torch.Generator().manual_seed(seed))


def queries(count: int) -> list[tuple[float, float]]:
    numbers = random.Random(3)
    pairs = [sorted((numbers.uniform(0, 15), numbers.uniform(0, 15))) for _ in range(count)]
    return [(start, end) for start, end in pairs]


@pytest.mark.parametrize("entropy", [1, 2**40 + 7])
def test_path_equals_that_of_torchsde(entropy: int) -> None:
    torchsde = pytest.importorskip("torchsde")
    ours = BrownianTree(LOW, HIGH, entropy, randn)
    theirs = torchsde.BrownianTree(LOW, torch.zeros(4, 8, 8), HIGH, entropy=entropy)

    for start, end in [*queries(30), (3.0, 3.00001), (LOW, HIGH)]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where it clips
            expected = theirs(start, end)
        assert torch.equal(ours.increment(start, end), expected)


def test_increment_does_not_depend_on_what_was_asked_before() -> None:
    asked = BrownianTree(LOW, HIGH, 9, randn)
    for start, end in queries(20):
        asked.increment(start, end)

    assert torch.equal(asked.increment(1.5, 7.25), BrownianTree(LOW, HIGH, 9, randn).increment(1.5, 7.25))


def test_increments_add_up() -> None:
    tree = BrownianTree(LOW, HIGH, 9, randn)

    torch.testing.assert_close(tree.increment(1, 2) + tree.increment(2, 5), tree.increment(1, 5))


def test_increments_have_the_variance_of_their_length() -> None:
    tree = BrownianTree(
        LOW, HIGH, 4, lambda seed: torch.randn(9000, generator=torch.Generator().manual_seed(seed))
    )

    assert tree.increment(2, 6).var().item() == pytest.approx(4, rel=0.05)


def test_an_empty_interval_has_no_increment() -> None:
    tree = BrownianTree(LOW, HIGH, 9, randn)

    assert torch.equal(tree.increment(3, 3), torch.zeros(4, 8, 8))
    assert torch.equal(tree.increment(20, 30), torch.zeros(4, 8, 8)), "outside nothing moves"
