"""Weights that come to the device when they are needed, and never more than there is room for."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from modules.runtime.residence import Carrier, Residence, carrier_for, layer_by_layer
from tests.runtime.counting_carrier import CountingCarrier, lies_at, size


def network(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    return nn.Sequential(*layers).requires_grad_(requires_grad=False)


X = torch.ones(1, 8)


def test_layers_compute_the_same_bits_with_two_of_them_on_the_device_at_most() -> None:
    layers = network(8, 16, 4, 32, 8)
    plain, before, carrier = layers(X), lies_at(layers), CountingCarrier()
    seen: list[bool] = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda *_: None)  # a user's hooks stay
    with layer_by_layer(list(layers), carrier):
        for layer in layers:
            layer.register_forward_pre_hook(
                lambda layer, _inputs: seen.append(all(map(carrier.holds, layer.parameters())))
            )
        out = layers(X)
    assert torch.equal(out, plain)
    assert seen == [True] * 4
    assert carrier.held == 0
    assert lies_at(layers) == before
    assert carrier.largest == max(size(*pair) for pair in itertools.pairwise(layers))
    assert [len(layer._forward_pre_hooks) for layer in layers] == [2] * 4


def test_the_next_layer_is_sent_for_before_the_last_one_leaves() -> None:
    layers, carrier = network(8, 8, 8, 8), CountingCarrier()
    with layer_by_layer(list(layers), carrier):
        layers(X)
    assert carrier.log == ["fetch", "fetch", "retire", "fetch", "retire", "retire"]


def test_layers_may_be_called_again_and_in_another_order() -> None:
    layers, carrier = network(8, 8, 8), CountingCarrier()
    first, second = layers
    plain = first(second(second(first(X))))
    with layer_by_layer([second, first], carrier):
        assert torch.equal(first(second(second(first(X)))), plain)
    assert carrier.largest <= 2 * size(first)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_in_the_middle_leaves_everything_at_home(failing: int) -> None:
    layers, carrier = network(8, 8, 8, 8), CountingCarrier()
    plain, before = layers(X), lies_at(layers)

    def fail(_layer: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        raise RuntimeError("broken")

    with (
        layers[failing].register_forward_pre_hook(fail),
        pytest.raises(RuntimeError, match="broken"),
        layer_by_layer(list(layers), carrier),
    ):
        layers(X)
    assert lies_at(layers) == before
    assert torch.equal(layers(X), plain)


def test_a_device_that_is_full_leaves_everything_at_home() -> None:
    layers = network(8, 8, 64, 8)
    carrier, before = CountingCarrier(capacity=1000), lies_at(layers)
    with pytest.raises(torch.OutOfMemoryError), layer_by_layer(list(layers), carrier):
        layers(X)
    assert lies_at(layers) == before


def test_weights_that_were_lent_within_inference_mode_can_be_used_outside_of_it() -> None:
    layers, carrier = network(8, 8, 8), CountingCarrier()
    residence = Residence(carrier, [layers])
    with torch.inference_mode():
        with layer_by_layer(list(layers), carrier):
            layers(X)
        with residence.lend(layers):
            layers(X)
        residence.send_home([layers])
    layers.requires_grad_(requires_grad=True)
    layers(X).sum().backward()
    assert layers[0].weight.grad is not None


def test_networks_take_turns_and_the_last_one_stays() -> None:
    first, second, carrier = network(8, 8), network(8, 4), CountingCarrier()
    residence = Residence(carrier, [first, second])
    plain = second(first(X))
    for _ in range(2):
        with residence.lend(first, [second], alone=True):
            h = first(X)
        assert carrier.held == size(first)
        with residence.lend(second, [first], alone=True):
            assert torch.equal(second(h), plain)
        assert carrier.held == size(second)
    assert carrier.largest == max(size(first), size(second))


def test_it_is_said_before_networks_leave() -> None:
    first, second, carrier = network(8, 8), network(8, 4), CountingCarrier()
    held: list[int] = []
    residence = Residence(carrier, [first, second], before_leaving=lambda: held.append(carrier.held))
    with residence.lend(first, [second], alone=True):
        assert held == []  # nobody has to leave
    with residence.lend(second, [first], alone=True):
        assert held == [size(first)]


def test_the_others_leave_where_a_network_finds_no_room() -> None:
    first, second = network(8, 8), network(8, 8)
    carrier = CountingCarrier(capacity=size(first) + 10)
    residence = Residence(carrier, [first, second])
    with residence.lend(first, [second]):
        pass
    with residence.lend(second, [first]):
        assert carrier.held == size(second)


def test_a_network_that_is_too_large_says_so_and_stays_at_home() -> None:
    layers = network(8, 8, 8, 8)
    carrier = CountingCarrier(capacity=size(layers) - 1)
    residence = Residence(carrier, [layers])
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError), residence.lend(layers):
            pass
        carrier_held_by_layers = [carrier.holds(parameter) for parameter in layers.parameters()]
        assert not any(carrier_held_by_layers)
        with residence.lend(layers, layers=list(layers)):
            layers(X)


def test_layers_are_brought_singly_also_of_a_network_that_was_there_as_a_whole() -> None:
    layers, carrier = network(8, 8, 8, 8), CountingCarrier()
    residence = Residence(carrier)
    carrier.adopt(layers)
    carrier.largest = 0
    with residence.lend(layers, layers=list(layers)):
        layers(X)
    assert carrier.largest == 2 * size(layers[0])
    with residence.lend(layers):
        assert carrier.held == size(layers)


def test_nothing_moves_where_the_device_has_no_memory_of_its_own() -> None:
    layers = network(8, 8, 8)
    before = lies_at(layers)
    residence = Residence(carrier_for(torch.device("cpu")), [layers])
    assert not residence.moves
    with residence.lend(layers, alone=True):
        layers(X)
    with residence.lend(layers, layers=list(layers)):
        layers(X)
    residence.send_home([layers])
    assert lies_at(layers) == before


def test_the_plain_carrier_copies_and_waits() -> None:
    carrier = Carrier(torch.device("cpu"))
    copies = carrier.fetch([X, 2 * X])()
    assert [float(copy[0, 0]) for copy in copies] == [1.0, 2.0]
    assert carrier.ready(X) is X
    carrier.retire(copies)
    assert copies == []
