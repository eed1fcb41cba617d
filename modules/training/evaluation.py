"""How often a generated picture shows what its prompt says, judged by a classifier of real pictures."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.conditioning.tokenizer import clip_tokenizer
from modules.training.compositions import Composition, is_held_out
from modules.training.latent_diffusion import CaptionedLatents, LatentDiffusion
from modules.training.latent_set import LatentSet
from modules.training.palette import BACKGROUND_COLOURS
from modules.training.preview import sample_latents

__all__ = ["Fidelity", "LatentClassifier", "evaluate", "train_classifier", "wilson_interval"]

_LOG = logging.getLogger(__name__)
_HEADS = ("concept", "style", "background")
_BATCH = 16
_HOLD_OUT_EVERY = 10  # every tenth picture is not trained on but used to measure the classifier itself


@dataclass(frozen=True)
class Fidelity:
    """Share of pictures that are right, with a 95 % interval.

    Attributes:
        name: What was judged.
        right: Number of pictures that were right.
        total: Number of pictures.
        low, high: Ends of the interval.
    """

    name: str
    right: int
    total: int
    low: float
    high: float

    @classmethod
    def of(cls, name: str, right: Tensor) -> "Fidelity":
        """From one truth value a picture, (N,) bool."""
        count, total = int(right.sum()), len(right)
        low, high = wilson_interval(count, total)
        return cls(name, count, total, low, high)


def wilson_interval(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Confidence interval of a share. Source: Wilson 1927, "Probable Inference"."""
    if total == 0:
        return 0.0, 1.0
    share, spread = right / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, centre - half), min(1.0, centre + half)


class LatentClassifier(nn.Module):
    """Concept, style and background of a latent."""

    def __init__(self, channels: int, classes: Sequence[int], width: int = 48) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(
            [(channels, width), (width, 2 * width), (2 * width, 3 * width), (3 * width, 4 * width)]
        ):
            stride = 2 if level else 1
            layers += [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.SiLU()]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.2))
        self.heads = nn.ModuleList(nn.Linear(16 * width, count) for count in classes)

    def forward(self, latents: Tensor) -> tuple[Tensor, ...]:
        """Latents (B, Z, h, w) to scores (B, classes) of each head."""
        features = self.features(latents)
        return tuple(head(features) for head in self.heads)


@dataclass(frozen=True)
class _Labels:
    """Names of the classes of each head, and the numbers of every composition."""

    names: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, compositions: Sequence[Composition]) -> "_Labels":
        return cls(tuple(tuple(sorted({getattr(item, head) for item in compositions})) for head in _HEADS))

    def numbers(self, compositions: Sequence[Composition]) -> Tensor:
        index = [{name: number for number, name in enumerate(names)} for names in self.names]
        rows = [[index[k][getattr(item, head)] for k, head in enumerate(_HEADS)] for item in compositions]
        return torch.tensor(rows)  # N 3


def train_classifier(
    data: LatentSet, *, steps: int, seed: int = 0
) -> tuple[LatentClassifier, list[Fidelity]]:
    """Train on real pictures only; returns the classifier and its accuracy on real ones kept apart."""
    torch.manual_seed(seed)
    labels = _Labels.of(data.compositions)
    targets = labels.numbers(data.compositions)
    classifier = LatentClassifier(data.latents.shape[1], [len(names) for names in labels.names])
    kept_apart = torch.arange(0, len(targets), _HOLD_OUT_EVERY)
    train = torch.tensor(sorted(set(range(len(targets))) - set(kept_apart.tolist())))
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=2e-3, weight_decay=0.02)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        chosen = train[torch.randint(0, len(train), (48,), generator=generator)]
        x = data.latents[chosen].float()
        x = x + 0.3 * torch.randn(x.shape, generator=generator) * torch.rand(48, 1, 1, 1, generator=generator)
        shift = [int(v) for v in torch.randint(-2, 3, (2,), generator=generator)]
        scores = classifier(torch.roll(x, shift, (2, 3)))
        loss = torch.stack(
            [F.cross_entropy(s, targets[chosen, k], label_smoothing=0.05) for k, s in enumerate(scores)]
        ).sum()
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    classifier.eval()
    return classifier, _judge(classifier, data.latents[kept_apart].float(), targets[kept_apart], "real ")


@torch.no_grad()
def _judge(classifier: LatentClassifier, latents: Tensor, targets: Tensor, prefix: str) -> list[Fidelity]:
    scores = [torch.cat(parts) for parts in zip(*(classifier(x) for x in latents.split(64)), strict=True)]
    results = [
        Fidelity.of(prefix + head, scores[k].argmax(1) == targets[:, k]) for k, head in enumerate(_HEADS)
    ]
    top5 = (scores[0].topk(min(5, scores[0].shape[1]), 1).indices == targets[:, :1]).any(1)
    return [*results, Fidelity.of(prefix + "concept, best five", top5)]


def _prompts(data: CaptionedLatents) -> list[tuple[Composition, str, bool]]:
    """For every drawing one plain prompt and one with a background, and whether the pair was held out."""
    prompts = []
    for number, item in enumerate(
        sorted({(c.concept, c.style, c.drawing) for c in data.latents.compositions})
    ):
        concept, style, drawing = item
        background = BACKGROUND_COLOURS[number % len(BACKGROUND_COLOURS)]
        name = data.concepts[concept].name
        words = name if data.concepts[concept].is_plural else ("an " if name[0] in "aeiou" else "a ") + name
        prompts.append((Composition(concept, style, drawing), f"{words}, {style} style", False))
        coloured = Composition(concept, style, drawing, background)
        held_out = is_held_out(concept, f"{background} background")
        prompts.append((coloured, f"{words}, {style} style, {background} background", held_out))
    return prompts


@torch.no_grad()
def evaluate(
    model: LatentDiffusion,
    data: CaptionedLatents,
    folder: Path,
    *,
    limit: int | None = None,
    steps: int = 20,
    cfg_scale: float = 4.0,
) -> list[Fidelity]:
    """Measure prompt fidelity and write it to ``evaluation.json`` in ``folder``.

    Args:
        model: The networks, averaged weights.
        data: The real pictures.
        folder: Where the result goes.
        limit: Judge only so many prompts, spread evenly over all.
        steps: Evaluations of the sampler.
        cfg_scale: Strength of the guidance.
    """
    with torch.enable_grad():
        classifier, results = train_classifier(data.latents, steps=data.recipe.classifier_steps)
    labels = _Labels.of(data.latents.compositions)
    prompts = _prompts(data)
    if limit is not None and limit < len(prompts):
        prompts = [prompts[index * len(prompts) // limit] for index in range(limit)]
    tokenizer = clip_tokenizer()
    rows = torch.stack([data.vocabulary.encode(text, tokenizer, 77) for _, text, _ in prompts])
    empty = data.vocabulary.encode("", tokenizer, 77)
    side = data.latents.latents.shape[-1]
    latents = []
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        latents.append(
            sample_latents(model, part, empty, side=side, steps=steps, cfg_scale=cfg_scale, seed=1000 + start)
        )
    generated = torch.cat(latents)
    targets = labels.numbers([composition for composition, _, _ in prompts])
    results += _judge(classifier, generated, targets, "generated ")
    for style in labels.names[1]:
        chosen = torch.tensor([composition.style == style for composition, _, _ in prompts])
        results += _judge(classifier, generated[chosen], targets[chosen], f"{style}: ")[:1]
    held_out = torch.tensor([is_new for _, _, is_new in prompts])
    if held_out.any():
        results += _judge(classifier, generated[held_out], targets[held_out], "held-out background: ")[:3]
    report = json.dumps([asdict(result) for result in results], indent=1)
    (folder / "evaluation.json").write_text(report, encoding="utf-8")
    for result in results:
        _LOG.info(
            "%s: %d of %d (%.0f..%.0f %%)",
            result.name,
            result.right,
            result.total,
            100 * result.low,
            100 * result.high,
        )
    return results
