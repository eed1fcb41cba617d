import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modules.exceptions import TrainingError
from modules.training.loop import LoopSettings, Measurement, Trainer, step_generator
from modules.training.optimisers import LearningRateSchedule, build_optimisers

_STEPS = 12


def _trainer(folder: Path, **changes: float) -> tuple[Trainer, nn.Sequential]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 6))
    schedule = LearningRateSchedule(_STEPS, warmup=2, hold=0.5)
    settings = replace(LoopSettings(_STEPS, schedule), **changes)  # type: ignore[arg-type]
    optimisers = build_optimisers(network, adam_rate=1e-2, muon_rate=1e-2, weight_decay=0.01)
    return Trainer(network, optimisers, settings, folder / "state.pt"), network


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
    assert second.losses == whole.losses
    assert whole.average is not None
    assert second.average is not None
    for one, other in zip(whole.average.average, second.average.average, strict=True):
        assert torch.equal(one, other)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    trainer, network = _trainer(tmp_path)
    before = _measure(network)(1000)[0].item()
    trainer.run(_measure(network))
    assert _measure(network)(1000)[0].item() < before


def _gradients(folder: Path, **limits: float) -> list[Tensor]:
    """What the first optimiser sees of large gradients, of all parameters."""
    trainer, network = _trainer(folder, **limits)
    seen: list[Tensor] = []
    trainer._optimisers[0].register_step_pre_hook(
        lambda *_: seen.extend(p.grad.clone() for p in network.parameters() if p.grad is not None)
    )
    trainer.run(lambda step: (1000 * _measure(network)(step)[0], {}), until=1)
    return seen


def test_gradients_are_limited_by_norm_or_by_value_or_not_at_all(tmp_path: Path) -> None:
    unlimited = _gradients(tmp_path / "a", max_gradient_norm=float("inf"))
    highest = max(float(gradient.abs().max()) for gradient in unlimited)
    assert highest > 1
    by_value = _gradients(tmp_path / "b", max_gradient_norm=float("inf"), max_gradient_value=0.5)
    for cut, whole in zip(by_value, unlimited, strict=True):
        assert torch.equal(cut, whole.clamp(-0.5, 0.5))
    by_norm = _gradients(tmp_path / "c", max_gradient_norm=0.5)
    whole_norm = torch.cat([gradient.flatten() for gradient in by_norm]).norm().item()
    assert whole_norm == pytest.approx(0.5, rel=1e-3)


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
    stranger = nn.Linear(3, 3)
    optimisers = build_optimisers(stranger, adam_rate=1e-2, muon_rate=1e-2, weight_decay=0.01)
    other = Trainer(stranger, optimisers, settings, tmp_path / "state.pt")
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
    assert trainer.average is not None
    assert torch.equal(seen[-1], trainer.average.average[0])
    assert not torch.equal(seen[-1], next(network.parameters()).detach())


def test_a_run_continues_from_any_state_that_was_kept_with_the_same_bits(tmp_path: Path) -> None:
    whole, network = _trainer(tmp_path, save_steps=4, ema_decay=0.0)
    whole.run(_measure(network))
    for step in (4, 8):
        again, network = _trainer(tmp_path, save_steps=4, ema_decay=0.0)
        assert again.resume(step)
        assert again.step == step
        again.run(_measure(network))
        assert again.losses == whole.losses
        for name, tensor in whole.network.state_dict().items():
            assert torch.equal(tensor, network.state_dict()[name]), name


def test_losses_that_are_accumulated_count_as_one_larger_batch(tmp_path: Path) -> None:
    def measure_parts(network: nn.Module, parts: int) -> Callable[[int], Measurement]:
        def measure(number: int) -> Measurement:
            step, part = divmod(number, parts)
            x = torch.randn(4, 6, generator=step_generator(0, step)).chunk(parts)[part]
            return (network(x) - x).square().mean(), {}

        return measure

    whole, network = _trainer(tmp_path / "whole")
    whole.run(measure_parts(network, 1), until=3)
    parts, other = _trainer(tmp_path / "parts", accumulation=2)
    parts.run(measure_parts(other, 2), until=3)
    assert parts.losses == pytest.approx(whole.losses, rel=1e-3)
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-3)


def _steep(network: nn.Module) -> Tensor:
    """A loss whose slope, at zero, is infinite."""
    total = torch.stack([parameter.sum() for parameter in network.parameters()]).sum()
    return (total - total.detach()).abs().sqrt()


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone(tmp_path: Path) -> None:
    trainer, network = _trainer(tmp_path)
    before = [parameter.detach().clone() for parameter in network.parameters()]

    with pytest.raises(TrainingError, match="gradient became"):
        trainer.run(lambda _: (_steep(network), {}))
    assert all(torch.equal(one, two) for one, two in zip(before, network.parameters(), strict=True))


def test_what_was_learnt_before_a_gradient_broke_is_saved(tmp_path: Path) -> None:
    trainer, network = _trainer(tmp_path)
    measure = _measure(network)
    updates = trainer.updates(lambda number: measure(number) if number < 2 else (_steep(network), {}))
    next(updates)
    next(updates)
    with pytest.raises(TrainingError, match="the state of step 2 is kept"):
        next(updates)
    again, other = _trainer(tmp_path)
    assert again.resume()
    assert again.step == 2
    assert all(
        torch.equal(one, two) for one, two in zip(network.parameters(), other.parameters(), strict=True)
    )


def test_a_loss_that_breaks_before_anything_was_saved_does_not_claim_a_state(tmp_path: Path) -> None:
    trainer, network = _trainer(tmp_path)
    with pytest.raises(TrainingError, match="no state had been saved yet"):
        trainer.run(lambda _: (network(torch.ones(1, 6)).sum() * math.nan, {}))
    assert not trainer.resume()


def test_updates_can_be_taken_one_at_a_time(tmp_path: Path) -> None:
    trainer, network = _trainer(tmp_path)
    updates = trainer.updates(_measure(network))
    first = next(updates)
    assert trainer.step == 1
    assert trainer.losses == [first]
    updates.close()
    trainer.save()
    again, _ = _trainer(tmp_path)
    assert again.resume()
    assert again.step == 1
