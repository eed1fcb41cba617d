from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modules.exceptions import TrainingError
from modules.training.loop import LoopSettings, Measurement, Trainer, step_generator
from modules.training.optimisers import LearningRateSchedule

_STEPS = 12


def _trainer(folder: Path) -> tuple[Trainer, nn.Sequential]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 6))
    schedule = LearningRateSchedule(_STEPS, warmup=2, hold=0.5)
    settings = LoopSettings(_STEPS, adam_rate=1e-2, muon_rate=1e-2, weight_decay=0.01, schedule=schedule)
    return Trainer(network, settings, folder / "state.pt"), network


def _measure(network: nn.Module, seed: int = 5) -> Callable[[int], Measurement]:
    def measure(step: int) -> Measurement:
        x = torch.randn(4, 6, generator=step_generator(seed, step))
        loss: Tensor = (network(x) - x).square().mean()
        return loss, {}

    return measure


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_run_continued_from_any_step_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    whole, network = _trainer(tmp_path / "whole")
    whole.run(_measure(network))
    first, network = _trainer(tmp_path / "parts")
    first.run(_measure(network), until=stop)
    second, resumed = _trainer(tmp_path / "parts")
    assert second.resume()
    second.run(_measure(resumed))
    assert second.step == whole.step == _STEPS
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name
    for one, other in zip(whole.average.average, second.average.average, strict=True):
        assert torch.equal(one, other)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    trainer, network = _trainer(tmp_path)
    before = _measure(network)(1000)[0].item()
    trainer.run(_measure(network))
    assert _measure(network)(1000)[0].item() < before


def test_a_loss_that_is_not_finite_stops_with_the_saved_state_kept(tmp_path: Path) -> None:
    trainer, network = _trainer(tmp_path)
    trainer.run(_measure(network), until=3)
    saved = (tmp_path / "state.pt").read_bytes()

    def broken(step: int) -> Measurement:
        return torch.tensor(float("nan"), requires_grad=True), {}

    with pytest.raises(TrainingError, match="nan at step 3"):
        trainer.run(broken)
    assert (tmp_path / "state.pt").read_bytes() == saved


def test_a_state_of_another_shape_is_refused_with_its_file_name(tmp_path: Path) -> None:
    trainer, network = _trainer(tmp_path)
    trainer.run(_measure(network), until=1)
    settings = trainer.settings
    other = Trainer(nn.Linear(3, 3), settings, tmp_path / "state.pt")
    with pytest.raises(TrainingError, match=r"state\.pt does not fit"):
        other.resume()


def test_without_a_saved_state_training_begins_at_the_start(tmp_path: Path) -> None:
    trainer, _ = _trainer(tmp_path)
    assert not trainer.resume()
    assert trainer.step == 0


def test_pictures_are_drawn_with_the_averaged_weights(tmp_path: Path) -> None:
    trainer, network = _trainer(tmp_path)
    seen: list[Tensor] = []
    trainer.run(
        _measure(network),
        until=4,
        on_save=lambda step: seen.append(next(network.parameters()).detach().clone()),
    )
    assert torch.equal(seen[-1], trainer.average.average[0])
    assert not torch.equal(seen[-1], next(network.parameters()).detach())
