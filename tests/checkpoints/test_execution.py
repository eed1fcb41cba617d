"""Networks within the memory there is: injected allocator failures, NaN, number formats."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from modules.checkpoints.execution import Execution, Rung, in_float32
from modules.checkpoints.model import LoadedModel
from modules.exceptions import DeviceMemoryError, NumericalError
from modules.runtime.graphs import Graphs
from tests.adapters.tiny_models import tiny_sd1
from tests.runtime.recorders import RerunRecorder

ALLOCATOR = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 68719476736 bytes."


@pytest.fixture
def model() -> LoadedModel:
    loaded = tiny_sd1()
    loaded.vae.requires_grad_(requires_grad=False)
    return loaded


@contextmanager
def failing(network: nn.Module, too_large: Callable[[Tensor], bool]) -> Iterator[list[int]]:
    """Let an allocation fail inside the network for too large inputs; yields the rows it was given."""
    rows: list[int] = []

    def check(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        rows.append(len(arguments[0]))
        if too_large(arguments[0]):
            raise RuntimeError(ALLOCATOR)

    hook = network.register_forward_pre_hook(check)
    try:
        yield rows
    finally:
        hook.remove()


def unet_input(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.randn(rows, 4, 8, 8), torch.linspace(1, 900, rows), torch.randn(rows, 77, 16)


def test_a_call_that_does_not_fit_is_split_and_gives_the_same(model: LoadedModel) -> None:
    asked = unet_input(6)
    whole = model.predict(*asked)
    with failing(model.unet, lambda x: len(x) > 2) as rows:
        split = model.predict(*asked)
    assert rows == [6, 3, 2, 2, 2]
    assert torch.allclose(whole, split, atol=1e-5)


def test_the_rung_that_carried_is_remembered_for_its_shape(model: LoadedModel) -> None:
    with failing(model.unet, lambda x: len(x) > 1) as rows:
        model.predict(*unet_input(4))
        rows.clear()
        model.predict(*unet_input(4))
        assert rows == [1, 1, 1, 1]
        rows.clear()
        x, timesteps, context = unet_input(4)
        model.predict(x[:, :, :4], timesteps, context)
        assert rows[0] == 4  # another shape is tried at its best


def test_attention_is_sliced_when_one_row_does_not_fit(model: LoadedModel) -> None:
    asked = unet_input(1)
    whole = model.predict(*asked)
    attempts = []

    def first_only(x: Tensor) -> bool:
        attempts.append(len(x))
        return len(attempts) == 1

    with failing(model.unet, first_only):
        assert torch.allclose(model.predict(*asked), whole, atol=1e-5)
    assert attempts == [1, 1]


def test_a_network_that_never_fits_is_an_error_and_the_next_call_is_well(model: LoadedModel) -> None:
    asked = unet_input(2)
    whole = model.predict(*asked)
    with failing(model.unet, lambda x: True), pytest.raises(DeviceMemoryError):
        model.predict(*asked)
    assert torch.equal(model.predict(*asked), whole)


def test_decoding_falls_back_to_tiles(model: LoadedModel) -> None:
    torch.manual_seed(1)
    z = torch.nn.functional.interpolate(torch.randn(1, 4, 6, 5), size=(70, 66), mode="bicubic")
    whole = model.decode(z)
    with failing(model.vae.decoder.up[0], lambda x: x.shape[2] > 100):
        tiled = model.decode(z)
    assert (tiled - whole).abs().mean() < 0.1 * whole.std()
    assert set(model.execution._carried.values()) == {Rung(rows=1, sliced=True, tile=32)}


def test_encoding_falls_back_to_tiles(model: LoadedModel) -> None:
    torch.manual_seed(1)
    pixels = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 5) * 2 - 1, size=(140, 132))
    whole, _ = model.encode(pixels)
    with failing(model.vae.encoder.down[0], lambda x: x.shape[2] > 100):
        tiled, _ = model.encode(pixels)
    assert (tiled - whole).abs().mean() < 0.1 * whole.std()


def overflowing(model: LoadedModel, *, always: bool) -> LoadedModel:
    """The model in bfloat16 whose U-Net yields NaN in its second row, in any format or only in 16 bits."""
    model.unet.to(torch.bfloat16)

    def spoil(_module: nn.Module, _arguments: object, out: Tensor) -> Tensor:
        if always or out.dtype is torch.bfloat16:
            out = out.clone()
            out[-1] = torch.nan
        return out

    model.unet.register_forward_hook(spoil)
    return replace(model, runtime=replace(model.runtime, dtype=torch.bfloat16))


def test_rows_that_overflow_are_computed_again_in_32_bits(model: LoadedModel) -> None:
    half = overflowing(model, always=False)
    before = [parameter.clone() for parameter in half.unet.parameters()]
    assert torch.isfinite(half.predict(*unet_input(2))).all()
    after = list(half.unet.parameters())
    assert all(torch.equal(a, b) and b.dtype is torch.bfloat16 for a, b in zip(before, after, strict=True))


def test_nan_in_32_bits_too_is_an_error_that_names_the_network(model: LoadedModel) -> None:
    with pytest.raises(NumericalError, match="U-Net") as caught:
        overflowing(model, always=True).predict(*unet_input(2))
    assert caught.value.stage == "U-Net"


@pytest.mark.parametrize(("place", "stage"), [(0, "sampler"), (2, "text encoder")])
def test_nan_that_came_in_is_blamed_on_where_it_came_from(model: LoadedModel, place: int, stage: str) -> None:
    asked = list(unet_input(2))
    asked[place] = asked[place] * torch.nan
    with pytest.raises(NumericalError) as caught:
        model.predict(*asked)
    assert caught.value.stage == stage


def test_the_check_can_be_turned_off(model: LoadedModel) -> None:
    unchecked = replace(model, runtime=replace(model.runtime, check_values=False))
    x, timesteps, context = unet_input(1)
    assert unchecked.predict(x * torch.nan, timesteps, context).isnan().all()


@pytest.fixture
def recorder() -> RerunRecorder:
    return RerunRecorder()


@pytest.fixture
def recorded(model: LoadedModel, recorder: RerunRecorder) -> LoadedModel:
    execution = Execution(_graphs=Graphs(recorder))
    return replace(model, runtime=replace(model.runtime, graphs=True), execution=execution)


def test_recorded_calls_give_the_same(
    model: LoadedModel, recorded: LoadedModel, recorder: RerunRecorder
) -> None:
    for rows in (2, 4, 2, 4, 2):
        asked = unet_input(rows)
        assert torch.equal(recorded.predict(*asked), model.predict(*asked))
    asked = unet_input(4)
    for _ in range(2):
        merged = recorded.predict(*asked, token_merging=0.5)
        assert torch.equal(merged, model.predict(*asked, token_merging=0.5))
    assert len(recorder.made) == 3


def test_recordings_are_given_up_before_anything_is_done_more_modestly(
    recorded: LoadedModel, recorder: RerunRecorder
) -> None:
    recorded.predict(*unet_input(2))
    recorded.predict(*unet_input(2))
    z = torch.randn(1, 4, 8, 8)
    attempts: list[int] = []

    def first_only(x: Tensor) -> bool:
        attempts.append(len(x))
        return len(attempts) == 1

    with failing(recorded.vae.decoder.up[0], first_only):
        recorded.decode(z)
    assert len(attempts) == 2
    assert recorded.execution._carried == {}
    recorded.predict(*unet_input(2))
    assert recorder.made[0].replays == 1  # it has to be recorded anew


def test_a_network_that_overflowed_is_recorded_with_its_own_weights(
    recorded: LoadedModel, model: LoadedModel, recorder: RerunRecorder
) -> None:
    recorded.unet.to(torch.bfloat16)
    half = replace(recorded, runtime=replace(recorded.runtime, dtype=torch.bfloat16))
    plain = replace(half, runtime=replace(half.runtime, graphs=False))
    asked = unet_input(2)
    half.predict(*asked)
    half.predict(*asked)
    with in_float32(recorded.unet):
        pass  # the weights come back to other addresses
    recorder.made[0].call = pytest.fail
    for _ in range(3):
        assert torch.equal(half.predict(*asked), plain.predict(*asked))
