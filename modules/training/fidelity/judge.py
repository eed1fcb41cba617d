"""The judge: a small residual network that says what a picture shows. It has only ever seen real pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from modules.training.compositions import Composition
from modules.training.concepts import Concept
from modules.training.icon_sets import ICON_SETS
from modules.training.palette import COLOURS

__all__ = ["ASPECTS", "MANY_COLOURS", "SIDE", "UNKNOWN", "Judge", "Labels", "to_pixels"]

ASPECTS = ("concept", "style", "background", "colour")
SIDE = 64  # pixels of a picture's side, as the judge looks at it
UNKNOWN = -100  # a label that people would not agree on; it teaches nothing and is not counted
MANY_COLOURS = "many"

_STYLES = tuple(icon_set.style for icon_set in ICON_SETS)
_LINE_ART = next(icon_set.style for icon_set in ICON_SETS if icon_set.single_colour)
_CHANNELS = (32, 64, 128, 192)


@dataclass(frozen=True)
class Labels:
    """What can be said about a picture, aspect by aspect.

    Attributes:
        names: The answers of each aspect.
    """

    names: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, concepts: Sequence[Concept]) -> "Labels":
        """All concepts of a list, with every style and colour."""
        return cls(
            {
                "concept": tuple(concept.name for concept in concepts),
                "style": _STYLES,
                "background": tuple(COLOURS),
                "colour": (*COLOURS, MANY_COLOURS),
            }
        )

    def row(self, shown: Composition, *, has_one_hue: bool) -> list[int]:
        """Numbers of the answers that are right for a composition, in the order of :data:`ASPECTS`.

        Args:
            shown: The composition.
            has_one_hue: Whether its drawing has one dominant hue; the colour is unknown if that has no name.
        """
        colour = shown.colour or ("black" if shown.style == _LINE_ART else shown.own_colour)
        if colour is None and not has_one_hue:
            colour = MANY_COLOURS
        said = (shown.concept, shown.style, shown.background, colour)
        return [
            UNKNOWN if answer is None else self.names[aspect].index(answer)
            for aspect, answer in zip(ASPECTS, said, strict=True)
        ]


def to_pixels(picture: Image.Image) -> Tensor:
    """A picture as the judge wants it, (3, SIDE, SIDE) in -1..1."""
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 127.5 - 1


class _Block(nn.Module):
    """Two convolutions beside a shortcut; the first halves the resolution where ``stride`` is 2.

    Source: He et al. 2015, "Deep Residual Learning for Image Recognition", figure 2, with group norms.
    """

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(8, outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(8, outs)
        self.shortcut = nn.Conv2d(ins, outs, 1, stride) if stride > 1 or ins != outs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(h)) + self.shortcut(x))


class Judge(nn.Module):
    """About a million parameters: a stem, four stages of one block, and a linear layer for each aspect."""

    def __init__(self, labels: Labels) -> None:
        super().__init__()
        self.labels = labels
        self.conv_in = nn.Conv2d(3, _CHANNELS[0], 3, 2, 1)  # no norm: absolute colours must come through
        pairs = zip((_CHANNELS[0], *_CHANNELS), _CHANNELS, strict=False)
        self.blocks = nn.Sequential(
            *(_Block(ins, outs, 1 if index == 0 else 2) for index, (ins, outs) in enumerate(pairs))
        )
        width = _CHANNELS[0] + _CHANNELS[-1]
        self.heads = nn.ModuleDict(
            {aspect: nn.Linear(width, len(labels.names[aspect])) for aspect in ASPECTS}
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Pictures (B, 3, SIDE, SIDE) in -1..1 to the scores (B, N) of each aspect's answers."""
        stem = F.silu(self.conv_in(x))  # B 32 32 32
        features = torch.cat([stem.mean((2, 3)), self.blocks(stem).mean((2, 3))], 1)
        return {aspect: head(features) for aspect, head in self.heads.items()}

    def loss(self, pixels: Tensor, wanted: Tensor) -> Tensor:
        """Mean cross-entropy of all aspects, 0-dim, for right answers (B, aspects) int64."""
        scores = self(pixels)
        parts = []
        for column, aspect in enumerate(ASPECTS):
            known = (wanted[:, column] != UNKNOWN).sum().clamp(min=1)
            total = F.cross_entropy(
                scores[aspect], wanted[:, column], ignore_index=UNKNOWN, reduction="sum", label_smoothing=0.05
            )
            parts.append(total / known)
        return torch.stack(parts).sum()

    @torch.no_grad()
    def ranks(self, pixels: Tensor) -> dict[str, Tensor]:
        """For each aspect the numbers of its answers, (B, N), the likeliest first."""
        scores = [self(part) for part in pixels.split(64)]
        return {
            aspect: torch.cat([part[aspect] for part in scores]).argsort(1, descending=True)
            for aspect in ASPECTS
        }
