"""Deep features that calls of the U-Net share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.networks.deep_features import DeepFeatures
from modules.networks.unet import UNet
from tests.adapters.tiny_models import tiny_sd1, tiny_sdxl
from tests.checkpoints.test_execution import ALLOCATOR, overflowing, unet_input


@contextmanager
def blocks_run(unet: UNet) -> Iterator[list[str]]:
    """Which blocks compute within the block."""
    run: list[str] = []
    stages = {f"in {i}": stage for i, stage in enumerate(unet.input_blocks)}
    stages |= {"middle": unet.middle_block} | {
        f"out {i}": stage for i, stage in enumerate(unet.output_blocks)
    }
    handles = [
        stage.register_forward_pre_hook(lambda *_, name=name: run.append(name))
        for name, stage in stages.items()
    ]
    yield run
    for handle in handles:
        handle.remove()


@pytest.fixture
def model() -> LoadedModel:
    return tiny_sd1()


def later(asked: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The inputs of a step nearby."""
    x, timesteps, context = asked
    return x * 0.9, timesteps - 0.5, context


def test_features_of_the_same_input_give_the_same_bits(model: LoadedModel) -> None:
    asked, deep = unet_input(2), DeepFeatures()
    whole = model.predict(*asked)
    assert torch.equal(model.predict(*asked, deep=deep), whole)
    assert deep.is_known
    with blocks_run(model.unet) as run:
        assert torch.equal(model.predict(*asked, deep=deep), whole)
    last = len(model.unet.output_blocks) - 1
    assert run == ["in 0", f"out {last}"]


def test_a_later_step_goes_by_the_earlier_features(model: LoadedModel) -> None:
    asked, deep = unet_input(2), DeepFeatures()
    model.predict(*asked, deep=deep)
    kept = deep.rows(slice(None)).values
    assert kept is not None
    before = kept.clone()
    shallow, exact = model.predict(*later(asked), deep=deep), model.predict(*later(asked))
    assert not torch.equal(shallow, exact)
    assert (shallow - exact).norm() < 0.5 * exact.norm()
    assert torch.equal(kept, before)


@pytest.mark.parametrize("odd", [(8, 8), (9, 13)], ids=str)
def test_the_vector_of_sdxl_and_any_size_are_fine(odd: tuple[int, int]) -> None:
    model, deep = tiny_sdxl(), DeepFeatures()
    x, context = torch.randn(2, 4, *odd), torch.randn(2, 77, 40)
    vector = torch.randn(2, model.unet.config.adm_channels)
    first = model.predict(x, torch.tensor([9.0, 9.0]), context, vector, deep=deep)
    assert torch.equal(model.predict(x, torch.tensor([9.0, 9.0]), context, vector, deep=deep), first)


def test_rows_that_are_computed_one_by_one_keep_their_own_features(model: LoadedModel) -> None:
    asked, deep = unet_input(4), DeepFeatures()

    def too_large(_module: object, arguments: tuple[Tensor, ...]) -> None:
        if len(arguments[0]) > 1:
            raise RuntimeError(ALLOCATOR)

    whole = model.predict(*asked)
    with model.unet.register_forward_pre_hook(too_large):
        assert torch.allclose(model.predict(*asked, deep=deep), whole, atol=1e-5)
        assert torch.allclose(model.predict(*asked, deep=deep), whole, atol=1e-5)
    parts = deep.split([1, 3])
    again = DeepFeatures()
    again.fill(parts)
    assert again.values is not None
    assert again.values.shape[0] == 4
    assert torch.allclose(model.predict(*asked, deep=again), whole, atol=1e-5)


def test_features_of_rows_that_overflowed_are_not_kept(model: LoadedModel) -> None:
    half, deep = overflowing(model, always=False), DeepFeatures()
    assert torch.isfinite(half.predict(*unet_input(2), deep=deep)).all()
    assert not deep.is_known


def test_one_missing_row_makes_all_of_them_unknown() -> None:
    both = DeepFeatures()
    both.fill([DeepFeatures(torch.zeros(1, 2, 2, 2)), DeepFeatures()])
    assert not both.is_known
    assert [part.is_known for part in both.split([1, 1])] == [False, False]
