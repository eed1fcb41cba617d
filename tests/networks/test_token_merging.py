"""Token merging: which tokens meet, and that nothing is lost on the way back."""

import pytest
import torch
from torch import Tensor

from modules.networks.token_merging import TokenMerge, plan_merge
from modules.networks.unet import UNet, UNetConfig

SMALL = UNetConfig(
    model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 1), context_dim=24,
    num_heads=2, groups=8,
)  # fmt: skip


def tokens(height: int, width: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, height * width, 8, generator=torch.Generator().manual_seed(3))


def planned(x: Tensor, height: int, width: int, ratio: float) -> TokenMerge:
    plan = plan_merge(x, height, width, ratio)
    assert plan is not None
    return plan


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9), (2, 2), (5, 8)])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_every_token_comes_back_once(height: int, width: int, ratio: float) -> None:
    x = tokens(height, width)
    plan = plan_merge(x, height, width, ratio)
    if plan is None:
        assert int(height * width * ratio) == 0
        return
    merged = plan.merge(x)
    assert merged.shape[1] == height * width - plan.merged.shape[1]
    back = plan.unmerge(merged)
    untouched = torch.ones(x.shape[:2], dtype=torch.bool)
    untouched.scatter_(1, plan.merged[..., 0], False)
    into = plan.destinations[..., 0].gather(1, plan.targets[..., 0])
    untouched.scatter_(1, into, False)
    assert torch.equal(back[untouched], x[untouched])
    rows = torch.arange(2)[:, None]
    assert torch.equal(back[rows, plan.merged[..., 0]], back[rows, into])


def test_the_likest_token_is_averaged_into_its_destination() -> None:
    x = torch.tensor(
        [[[1.0, 0.0], [3.0, 0.1], [0.0, 1.0], [-1.0, 0.0]]]
    )  # one block, first cell is the target
    plan = planned(x, 2, 2, 0.25)
    assert plan.merged.flatten().tolist() == [1]
    assert torch.allclose(plan.merge(x)[0, -1], torch.tensor([2.0, 0.05]))
    assert plan.unmerge(plan.merge(x))[0, 1].tolist() == pytest.approx([2.0, 0.05])


def test_three_quarters_are_merged_at_most() -> None:
    assert planned(tokens(8, 8), 8, 8, 0.9).merge(tokens(8, 8)).shape[1] == 16


@pytest.mark.parametrize(("height", "width", "ratio"), [(8, 8, 0.0), (8, 8, 0.01), (1, 9, 0.5)])
def test_nothing_to_merge_is_no_plan(height: int, width: int, ratio: float) -> None:
    assert plan_merge(tokens(height, width), height, width, ratio) is None


def test_each_row_merges_for_itself() -> None:
    x = tokens(6, 6)
    both, alone = planned(x, 6, 6, 0.5), planned(x[1:], 6, 6, 0.5)
    assert torch.equal(both.merge(x)[1:], alone.merge(x[1:]))


def _network() -> UNet:
    torch.manual_seed(0)
    network = UNet(SMALL).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)
    return network


def _run(height: int, width: int, ratio: float) -> tuple[Tensor, list[int]]:
    """The network's answer, and over how many tokens each of its self-attentions went."""
    network, lengths = _network(), []
    for name, module in network.named_modules():
        if name.endswith("attn1"):
            module.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 4, height, width, generator=generator)
    context = torch.randn(1, 77, 24, generator=generator)
    with torch.no_grad():
        return network(x, torch.tensor([500.0]), context, token_merging=ratio), lengths


def test_only_the_finest_level_is_shortened() -> None:
    _, whole = _run(8, 8, 0.0)
    _, halved = _run(8, 8, 0.5)
    assert sorted(set(whole)) == [16, 64]
    assert [{64: 32}.get(length, length) for length in whole] == halved


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 13), (1, 1)])
def test_merged_pictures_resemble_the_whole_one_at_any_size(height: int, width: int) -> None:
    whole, merged = _run(height, width, 0.0)[0], _run(height, width, 0.3)[0]
    assert whole.shape == merged.shape
    assert torch.nn.functional.cosine_similarity(whole.flatten(), merged.flatten(), dim=0) > 0.99
