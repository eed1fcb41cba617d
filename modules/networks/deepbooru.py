"""DeepDanbooru's residual network: how likely each of its tags fits a picture.

Bottleneck blocks of He et al. 2015 (arXiv:1512.03385), their normalisation folded into the convolutions.
Source: KichangKim's DeepDanbooru, "resnet_custom_v3"; convolutions are numbered as in TorchDeepDanbooru.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DeepBooru", "DeepBooruConfig", "Stage", "convolution_names"]


@dataclass(frozen=True)
class Stage:
    """Blocks of one size.

    Attributes:
        blocks: how many.
        inner, outer: channels within a block, and between blocks.
        shortcut_last: whether the shortcut is numbered behind the other convolutions of the first block.
    """

    blocks: int
    inner: int
    outer: int
    shortcut_last: bool = False


@dataclass(frozen=True)
class DeepBooruConfig:
    """Sizes; the defaults are those of the one published file.

    Attributes:
        stem: channels of the first convolution.
        stages: each but the first one halves the sides.
        tags: how many tags are known.
    """

    stem: int = 64
    stages: tuple[Stage, ...] = (
        Stage(3, 64, 256),
        Stage(8, 128, 512),
        Stage(20, 256, 1024),
        Stage(20, 256, 1024, shortcut_last=True),
        Stage(3, 512, 2048),
        Stage(3, 1024, 4096),
    )
    tags: int = 9176


class _Block(nn.Module):
    """1x1, 3x3 and 1x1 convolution beside a shortcut."""

    def __init__(self, before: int, stage: Stage, *, first: bool, stride: int) -> None:
        super().__init__()
        # TensorFlow's padding: with a stride of 2 all of it lies right and below
        self.padding = (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1)
        self.reduce = nn.Conv2d(before, stage.inner, 1)
        self.spatial = nn.Conv2d(stage.inner, stage.inner, 3, stride)
        self.expand = nn.Conv2d(stage.inner, stage.outer, 1)
        self.shortcut = nn.Conv2d(before, stage.outer, 1, stride) if first else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) to (B, outer, H / stride, W / stride)."""
        h = F.pad(F.relu(self.reduce(x)), self.padding)
        h = self.expand(F.relu(self.spatial(h)))
        return F.relu(h + self.shortcut(x))


class DeepBooru(nn.Module):
    """The whole network."""

    def __init__(self, config: DeepBooruConfig) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, config.stem, 7, 2)
        blocks: list[_Block] = []
        channels = config.stem
        for i, stage in enumerate(config.stages):
            for number in range(stage.blocks):
                stride = 2 if i and number == 0 else 1
                blocks.append(_Block(channels, stage, first=number == 0, stride=stride))
                channels = stage.outer
        self.blocks = nn.ModuleList(blocks)
        self.tags = nn.Linear(channels, config.tags, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Chances of all tags.

        Args:
            pixels: (B, 3, H, W) in 0..1; the network was taught with 512 pixels a side.

        Returns:
            (B, tags) in 0..1.
        """
        h = F.relu(self.stem(F.pad(pixels, (2, 3, 2, 3))))
        h = F.max_pool2d(F.pad(h, (0, 1, 0, 1), value=-torch.inf), 3, 2)
        for block in self.blocks:
            h = block(h)
        return torch.sigmoid(
            self.tags(h.mean(dim=(2, 3)))
        )  # (B, C): the mean of tags is the tags of the mean


def convolution_names(config: DeepBooruConfig) -> dict[str, str]:
    """Name of each parameter of :class:`DeepBooru` -> its name in the published file."""
    names: dict[str, str] = {}
    for number, convolution in enumerate(_in_order_of_the_file(config)):
        for part in ("weight",) if convolution == "tags" else ("weight", "bias"):
            names[f"{convolution}.{part}"] = f"n_Conv_{number}.{part}"
    return names


def _in_order_of_the_file(config: DeepBooruConfig) -> Iterator[str]:
    yield "stem"
    place = 0
    for stage in config.stages:
        for number in range(stage.blocks):
            parts = ["reduce", "spatial", "expand"]
            if number == 0:
                parts = [*parts, "shortcut"] if stage.shortcut_last else ["shortcut", *parts]
            yield from (f"blocks.{place}.{part}" for part in parts)
            place += 1
    yield "tags"
