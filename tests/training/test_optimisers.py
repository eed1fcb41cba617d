import sys

import pytest
import torch
from torch import nn

from modules.exceptions import TrainingError
from modules.training.optimisers import (
    LearningRateSchedule,
    Lion,
    Muon,
    OptimiserKind,
    build_optimiser,
    build_optimisers,
    orthogonalise,
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


@pytest.mark.parametrize("kind", ["adamw", "lion"])
def test_a_fine_tuning_optimiser_descends_with_a_rate_for_each_group(kind: OptimiserKind) -> None:
    fast, slow = nn.Parameter(torch.ones(6)), nn.Parameter(torch.ones(6))
    optimiser = build_optimiser(kind, [([fast], 0.05), ([slow], 0.005), ([], 1.0)], weight_decay=0.0)
    for _ in range(10):
        optimiser.zero_grad()
        (fast.square().sum() + slow.square().sum()).backward()
        optimiser.step()
    assert fast.max() < 0.6
    assert 0.93 < slow.min() < 0.97


def test_lion_moves_every_weight_by_its_rate() -> None:
    weight = nn.Parameter(torch.zeros(3))
    optimiser = Lion([weight], lr=0.1)
    weight.grad = torch.tensor([5.0, -0.001, 0.0])
    optimiser.step()
    assert torch.equal(weight.detach(), torch.tensor([-0.1, 0.1, 0.0]))


def test_an_optimiser_whose_package_is_missing_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(TrainingError, match="bitsandbytes"):
        build_optimiser("adamw8bit", [([nn.Parameter(torch.ones(1))], 1e-4)], weight_decay=0.0)
