import pytest
import torch

from modules.training.compositions import Composition
from modules.training.evaluation import Fidelity, NearestPicture, wilson_interval
from modules.training.latent_set import LatentSet
from modules.training.whitening import Whitening


def test_interval_of_half_of_a_hundred() -> None:
    assert wilson_interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_interval_stays_within_zero_and_one() -> None:
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(10, 10)[1] == pytest.approx(1)
    assert wilson_interval(0, 0) == (0, 1)


def test_fidelity_counts_what_is_right() -> None:
    fidelity = Fidelity.of("concept", torch.tensor([True, False, True, True]))
    assert (fidelity.right, fidelity.total) == (3, 4)


def _real() -> LatentSet:
    latents = torch.zeros(20, 4, 8, 8)
    compositions = []
    for index in range(20):  # two pictures of each of ten concepts, close together
        latents[index, 0, 0, index // 2 % 8] = 10 * (1 + index // 2)
        latents[index, 1, 0, 0] = index % 2
        compositions.append(Composition(f"concept {index // 2}", "flat", index))
    return LatentSet(latents.half(), tuple(compositions), Whitening(torch.zeros(4), torch.eye(4)))


def test_the_judge_finds_the_other_picture_of_a_concept() -> None:
    concept = NearestPicture(_real()).own_accuracy()[0]
    assert (concept.right, concept.total) == (3, 3)


def test_a_picture_of_another_concept_is_judged_wrong_but_may_be_among_the_best_five() -> None:
    real = _real()
    judge = NearestPicture(real)
    ranks = judge.ranks(real.latents[:1].float())
    results = judge.judge(ranks, [Composition("concept 1", "flat", 0, background="blue")], "")
    assert {result.name: result.right for result in results} == {
        "concept": 0,
        "style": 1,
        "background": 0,
        "concept, best five": 1,
    }
