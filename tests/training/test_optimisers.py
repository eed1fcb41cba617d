import pytest
import torch
from torch import nn

from modules.training.optimisers import (
    LearningRateSchedule,
    Muon,
    build_optimisers,
    orthogonalise,
    scale_learning_rates,
)


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (16, 16)])
def test_orthogonalising_brings_all_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert values.min() > 0.4
    assert values.max() < 1.3


def test_muon_descends_a_quadratic() -> None:
    target = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    weight = nn.Parameter(torch.zeros(8, 8))
    optimiser = Muon([weight], lr=0.2)
    for _ in range(60):
        optimiser.zero_grad()
        (weight - target).square().sum().backward()
        optimiser.step()
    assert (weight - target).square().mean() < 0.1 * target.square().mean()


def test_a_matrix_without_gradient_stays_as_it_is() -> None:
    weight = nn.Parameter(torch.ones(4, 4))
    Muon([weight], lr=1.0, weight_decay=0.5).step()
    assert torch.equal(weight.detach(), torch.ones(4, 4))


def test_tables_vectors_and_frozen_weights_do_not_go_to_muon() -> None:
    network = nn.ModuleDict(
        {"token_embedding": nn.Embedding(5, 4), "fc": nn.Linear(4, 4), "ice": nn.Linear(4, 4)}
    )
    network["ice"].requires_grad_(False)
    adam, muon = build_optimisers(network, adam_rate=1e-3, muon_rate=1e-2, weight_decay=0)
    shapes = [[tuple(p.shape) for p in optimiser.param_groups[0]["params"]] for optimiser in (adam, muon)]
    assert shapes == [[(5, 4), (4,)], [(4, 4)]]


def test_learning_rate_warms_up_holds_and_decays_to_the_floor() -> None:
    schedule = LearningRateSchedule(100, warmup=10, hold=0.5, floor=0.02)
    assert [schedule.factor(step) for step in (0, 9, 50)] == pytest.approx([0.1, 1.0, 1.0])
    assert schedule.factor(75) == pytest.approx(0.02 + 0.98 * 0.5)
    assert schedule.factor(100) == pytest.approx(0.02)


def test_rates_are_scaled_from_the_rate_at_the_start() -> None:
    _, muon = optimisers = build_optimisers(nn.Linear(3, 3), adam_rate=1e-3, muon_rate=1e-2, weight_decay=0)
    scale_learning_rates(optimisers, 0.5)
    scale_learning_rates(optimisers, 0.5)
    assert muon.param_groups[0]["lr"] == pytest.approx(5e-3)
