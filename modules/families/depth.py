"""The depth estimator beside a depth checkpoint: its place in files, its shape, its names in transformers."""

import re
from collections.abc import Iterable

from modules.families.shapes import Shapes, count_numbered, shape_of
from modules.networks.depth import DepthConfig

__all__ = ["DEPTH_PREFIX", "depth_config", "depth_sources"]

DEPTH_PREFIX = "depth_model.model."

_BACKBONE = "pretrained.model.patch_embed.backbone"
_HEAD_WIDTH = 64
_JOINED = ("query", "key", "value")  # the original has one matrix for the three

_NAMES = tuple(  # transformers' name, the original one
    (re.compile(theirs), ours)
    for theirs, ours in (
        (r"dpt\.embeddings\.cls_token", "pretrained.model.cls_token"),
        (r"dpt\.embeddings\.position_embeddings", "pretrained.model.pos_embed"),
        (r"dpt\.embeddings\.projection\.", "pretrained.model.patch_embed.proj."),
        (r"dpt\.embeddings\.backbone\.bit\.embedder\.convolution\.", f"{_BACKBONE}.stem.conv."),
        (r"dpt\.embeddings\.backbone\.bit\.embedder\.norm\.", f"{_BACKBONE}.stem.norm."),
        (
            r"dpt\.embeddings\.backbone\.bit\.encoder\.stages\.(\d+)\.layers\.(\d+)\.",
            rf"{_BACKBONE}.stages.\1.blocks.\2.",
        ),
        (
            r"dpt\.encoder\.layer\.(\d+)\.attention\.attention\.(?:query|key|value)\.",
            r"pretrained.model.blocks.\1.attn.qkv.",
        ),
        (r"dpt\.encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"pretrained.model.blocks.\1.attn.proj."),
        (r"dpt\.encoder\.layer\.(\d+)\.layernorm_before\.", r"pretrained.model.blocks.\1.norm1."),
        (r"dpt\.encoder\.layer\.(\d+)\.layernorm_after\.", r"pretrained.model.blocks.\1.norm2."),
        (r"dpt\.encoder\.layer\.(\d+)\.intermediate\.dense\.", r"pretrained.model.blocks.\1.mlp.fc1."),
        (r"dpt\.encoder\.layer\.(\d+)\.output\.dense\.", r"pretrained.model.blocks.\1.mlp.fc2."),
        (
            r"neck\.reassemble_stage\.readout_projects\.([23])\.0\.",
            lambda match: f"pretrained.act_postprocess{int(match[1]) + 1}.0.project.0.",
        ),
        (
            r"neck\.reassemble_stage\.layers\.([23])\.projection\.",
            lambda match: f"pretrained.act_postprocess{int(match[1]) + 1}.3.",
        ),
        (r"neck\.reassemble_stage\.layers\.3\.resize\.", "pretrained.act_postprocess4.4."),
        (r"neck\.convs\.([0-3])\.", lambda match: f"scratch.layer{int(match[1]) + 1}_rn."),
        (
            r"neck\.fusion_stage\.layers\.([0-3])\.projection\.",
            lambda match: f"scratch.refinenet{4 - int(match[1])}.out_conv.",
        ),
        (
            r"neck\.fusion_stage\.layers\.([0-3])\.residual_layer([12])\.convolution([12])\.",
            lambda match: f"scratch.refinenet{4 - int(match[1])}.resConfUnit{match[2]}.conv{match[3]}.",
        ),
        (r"head\.head\.(\d)\.", r"scratch.output_conv.\1."),
    )
)


def depth_config(shapes: Shapes) -> DepthConfig:
    """Configuration of the network whose shapes these are, by original names without prefix.

    Raises:
        ValueError: the first thing that is missing or impossible.
    """
    width = shape_of(shapes, "pretrained.model.cls_token", 3)[2]
    layers = count_numbered(shapes, "pretrained.model.blocks.{}.attn.qkv.weight")
    if not layers or width % _HEAD_WIDTH:
        raise ValueError(f"pretrained.model.blocks has {layers} layers of width {width}")
    stage = f"{_BACKBONE}.stages"
    fine, middle, coarse = (shape_of(shapes, f"{stage}.{i}.blocks.0.conv3.weight", 4)[0] for i in range(3))
    first, second, third = (
        max(1, count_numbered(shapes, f"{stage}.{i}.blocks.{{}}.conv3.weight")) for i in range(3)
    )
    return DepthConfig(
        stem=shape_of(shapes, f"{_BACKBONE}.stem.conv.weight", 4)[0],
        stages=(fine, middle, coarse),
        blocks=(first, second, third),
        width=width,
        layers=layers,
        heads=width // _HEAD_WIDTH,
        mlp_width=shape_of(shapes, "pretrained.model.blocks.0.mlp.fc1.weight", 2)[0],
        taps=(layers * 3 // 4 - 1, layers - 1),
        grid=int((shape_of(shapes, "pretrained.model.pos_embed", 3)[1] - 1) ** 0.5),
        joined=(
            shape_of(shapes, "scratch.layer3_rn.weight", 4)[1],
            shape_of(shapes, "scratch.layer4_rn.weight", 4)[1],
        ),
        fusion=shape_of(shapes, "scratch.layer1_rn.weight", 4)[0],
    )


def depth_sources(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Original parameter name to the transformers parameters that it is made of, joined in this order."""
    sources: dict[str, tuple[str, ...]] = {}
    for name in names:
        for pattern, replacement in _NAMES:
            original, found = pattern.subn(replacement, name)
            if found and pattern.match(name):
                sources[original] = (*sources.get(original, ()), name)
                break
    return {name: tuple(sorted(theirs, key=_place)) for name, theirs in sources.items()}


def _place(name: str) -> int:
    """Queries before keys before values."""
    return next((i for i, part in enumerate(_JOINED) if f".{part}." in name), 0)
