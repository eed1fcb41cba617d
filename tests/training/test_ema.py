import pytest
import torch
from torch import nn

from modules.training.ema import ExponentialMovingAverage


def test_first_updates_forget_the_random_start_quickly() -> None:
    average = ExponentialMovingAverage([nn.Parameter(torch.zeros(1))], 0.99)
    assert average.decay() == pytest.approx(0.1)


def test_decay_never_exceeds_its_largest_value() -> None:
    average = ExponentialMovingAverage([nn.Parameter(torch.zeros(1))], 0.5)
    average.updates = 10_000
    assert average.decay() == 0.5


def test_update_moves_the_average_by_one_minus_decay() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    average = ExponentialMovingAverage([weight], 0.75)
    average.updates = 10_000
    with torch.no_grad():
        weight.fill_(6.0)
    average.update()
    assert average.average[0].item() == pytest.approx(3.0)


def test_applied_weights_are_taken_back_bit_by_bit() -> None:
    weight = nn.Parameter(torch.randn(7))
    before = weight.detach().clone()
    average = ExponentialMovingAverage([weight], 0.9)
    average.average[0].add_(1)
    with average.applied():
        assert torch.equal(weight.detach(), before + 1)
    assert torch.equal(weight.detach(), before)
