"""Recorded calls give what plain calls give, whatever happens to the network in between."""

import logging

import pytest
import torch
from torch import Tensor, nn

from modules.networks.tiling import set_tiling
from modules.runtime.graphs import Graphs
from tests.runtime.recorders import RerunRecorder


class Desk:
    """A network, its graphs, and a check that a call gives what it gives plainly."""

    def __init__(self, recorder: RerunRecorder | None = None, keep: int = 8) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.SiLU(), nn.Conv2d(3, 2, 1, bias=False))
        self.network.requires_grad_(requires_grad=False)
        self.recorder = recorder or RerunRecorder()
        self.graphs = Graphs(self.recorder, keep=keep)
        self.plain_calls = 0

    def run(self, side: int = 4, key: object = "key", shift: Tensor | None = None) -> None:
        x = torch.randn(1, 2, side, side)

        def call(value: Tensor, more: Tensor | None) -> Tensor:
            self.plain_calls += value is x
            out: Tensor = self.network(value)
            return out if more is None else out + more

        expected = call(x, shift)
        self.plain_calls = 0
        assert torch.equal(self.graphs.run(self.network, call, (x, shift), key), expected)

    def was_replayed(self) -> bool:
        return self.plain_calls == 0


def test_the_first_call_is_plain_and_later_ones_are_replayed() -> None:
    desk = Desk()
    desk.run()
    assert not desk.was_replayed()
    assert desk.recorder.made == []
    for _ in range(3):
        desk.run()
        assert desk.was_replayed()
    assert [made.replays for made in desk.recorder.made] == [3]


def test_other_shapes_formats_and_keys_are_recorded_apart() -> None:
    desk = Desk()
    for _ in range(2):
        desk.run(4)
        desk.run(6)
        desk.run(4, key="other")
        desk.run(4, shift=torch.ones(1))
    assert len(desk.recorder.made) == 4
    assert desk.recorder.beside[0] is None
    assert all(beside is desk.recorder.made[0] for beside in desk.recorder.beside[1:])  # memory is shared


def test_inputs_made_in_inference_mode_and_outside_go_together() -> None:
    desk = Desk()
    with torch.inference_mode():
        desk.run()
        desk.run()
    desk.run()
    with torch.inference_mode():
        desk.run()
    assert desk.was_replayed()


def replaced(network: nn.Sequential) -> None:
    vars(network[0])["_parameters"]["weight"] = nn.Parameter(torch.ones(3, 2, 3, 3), requires_grad=False)


def moved(network: nn.Sequential) -> None:
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()


def given_a_bias(network: nn.Sequential) -> None:
    vars(network[2])["_parameters"]["bias"] = nn.Parameter(torch.ones(2), requires_grad=False)


def wrapped(network: nn.Sequential) -> None:
    set_tiling(network, enabled=True)


@pytest.mark.parametrize("change", [replaced, moved, given_a_bias, wrapped])
def test_a_change_of_the_network_drops_what_was_recorded(change: object) -> None:
    desk = Desk()
    desk.run()
    desk.run()
    assert callable(change)
    change(desk.network)
    desk.run()
    assert not desk.was_replayed()
    desk.run()
    desk.run()
    assert desk.was_replayed()
    assert len(desk.recorder.made) == 2


def test_a_weight_changed_in_its_place_is_seen_by_the_recording() -> None:
    desk = Desk()
    desk.run()
    desk.run()
    with torch.no_grad():
        next(desk.network.parameters()).mul_(2)
    desk.run()
    assert desk.was_replayed()


def test_a_network_with_hooks_is_computed_plainly() -> None:
    desk = Desk()
    desk.run()
    desk.run()
    hook = desk.network[1].register_forward_hook(lambda _layer, _inputs, out: out + 1)
    desk.run()
    assert not desk.was_replayed()
    hook.remove()
    desk.run()
    assert desk.was_replayed()


def test_another_network_does_not_get_the_first_ones_results() -> None:
    desk = Desk()
    desk.run()
    desk.run()
    desk.network = nn.Sequential(nn.Conv2d(2, 2, 1))
    desk.network.requires_grad_(requires_grad=False)
    desk.run()
    assert not desk.was_replayed()


def test_no_more_are_kept_than_allowed_and_the_least_used_goes() -> None:
    desk = Desk(keep=2)
    for side in (3, 4, 3, 4, 3, 5, 5):
        desk.run(side)
    desk.run(3)
    assert desk.was_replayed()
    desk.run(4)
    assert not desk.was_replayed()
    assert len(desk.graphs._known) == 2


def test_a_failed_recording_is_warned_of_once_and_never_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(RerunRecorder(error=RuntimeError("operation not permitted when stream is capturing")))
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            desk.run()
            desk.run(6)
    assert len(desk.recorder.beside) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "not permitted" in caplog.text


def test_with_too_little_memory_fewer_and_in_the_end_none_are_kept() -> None:
    desk = Desk(RerunRecorder(error=RuntimeError("CUDA out of memory. Tried to allocate")), keep=4)
    for _ in range(20):
        desk.run()
    assert len(desk.recorder.beside) == 3  # with room for 4, 2 and 1


def test_shrinking_says_whether_it_gave_anything_back() -> None:
    desk = Desk(keep=2)
    desk.run()
    assert not desk.graphs.shrink()
    desk.run()
    desk.run()
    assert desk.graphs.shrink()
    assert not desk.graphs.shrink()
    desk.run()
    desk.run()
    assert desk.was_replayed()
    assert desk.graphs.shrink()
    desk.run()
    desk.run()
    assert not desk.was_replayed()
