"""The depth estimator: equal to transformers' with the same random weights, for any size of picture."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BitConfig, DPTConfig, DPTForDepthEstimation

from modules.families.depth import depth_config, depth_sources
from modules.networks.depth import DepthConfig, DepthEstimator, depth_input

TINY = DepthConfig(
    stem=32, stages=(128, 128, 256), blocks=(1, 2, 1), width=64, layers=4, heads=1, mlp_width=96, taps=(2, 3),
    grid=4, joined=(48, 32), fusion=16,
)  # fmt: skip


def _theirs() -> Any:  # noqa: ANN401
    torch.manual_seed(0)
    backbone = BitConfig(
        embedding_size=32, hidden_sizes=[128, 128, 256], depths=[1, 2, 1], layer_type="bottleneck",
        global_padding="same", embedding_dynamic_padding=True, out_features=["stage1", "stage2", "stage3"],
    )  # fmt: skip
    network = DPTForDepthEstimation(
        DPTConfig(
            is_hybrid=True, backbone_config=backbone, hidden_size=64, num_hidden_layers=4,
            num_attention_heads=1, intermediate_size=96, backbone_out_indices=[0, 1, 2, 3], image_size=64,
            neck_hidden_sizes=[128, 128, 48, 32], fusion_hidden_size=16, layer_norm_eps=1e-6,
            backbone_featmap_shape=[1, 256, 4, 4], readout_type="project",
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.2)
    return network


def _ours(state: dict[str, Tensor]) -> DepthEstimator:
    sources = depth_sources(state)
    renamed = {name: torch.cat([state[one] for one in theirs]) for name, theirs in sources.items()}
    network = DepthEstimator(depth_config({name: tuple(value.shape) for name, value in renamed.items()}))
    network.load_state_dict(renamed)
    return network.eval()


def test_the_estimate_equals_that_of_transformers() -> None:
    theirs = _theirs()
    ours = _ours(theirs.state_dict())
    assert ours.config == TINY
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected, depth = theirs(pixels).predicted_depth, ours(pixels)[:, 0]
    assert depth.std() > 0
    assert (
        float((depth - expected).norm() / expected.norm()) < 1e-4
    )  # 1e-6 in their standardisation, 1e-8 here


@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 128)])
def test_pictures_need_not_be_square(height: int, width: int) -> None:
    network = _ours(_theirs().state_dict())
    with torch.no_grad():
        assert network(torch.zeros(1, 3, height, width)).shape == (1, 1, height, width)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((512, 512), (384, 384)), ((768, 512), (576, 384)), ((512, 768), (384, 576)), ((64, 64), (384, 384)),
     ((300, 512), (224, 384)), ((2048, 64), (384, 32))],
)  # fmt: skip
def test_the_side_nearer_to_384_decides_the_scale(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert depth_input(torch.zeros(1, 3, *size)).shape[-2:] == expected


def test_the_usual_weights_are_recognised_by_their_shapes() -> None:
    with torch.device("meta"):
        usual = DepthEstimator(DepthConfig())
    assert (
        depth_config({name: tuple(value.shape) for name, value in usual.state_dict().items()}) == usual.config
    )


def test_a_file_without_an_estimator_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="cls_token is missing"):
        depth_config({"up.weight": (4, 4)})
