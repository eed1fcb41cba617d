"""How often a generated picture shows what its prompt says, judged by the nearest real picture."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from modules.conditioning.tokenizer import clip_tokenizer
from modules.training.compositions import Composition
from modules.training.latent_diffusion import CaptionedLatents, LatentDiffusion
from modules.training.latent_set import LatentSet
from modules.training.palette import DEFAULT_BACKGROUND
from modules.training.preview import sample_latents

__all__ = ["Fidelity", "NearestPicture", "evaluate", "wilson_interval"]

_LOG = logging.getLogger(__name__)
_ATTRIBUTES = ("concept", "style", "background")
_BATCH = 16
_JUDGED_REAL_EVERY = 9


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


@dataclass(frozen=True)
class NearestPicture:
    """Says what a latent shows: the same as the real picture nearest to it.

    Attributes:
        data: The real pictures.
    """

    data: LatentSet

    def ranks(self, latents: Tensor, skip: Tensor | None = None) -> Tensor:
        """Real pictures from the nearest to the farthest, (B, N) int64.

        Args:
            latents: (B, Z, h, w).
            skip: For each of them a real picture that must not be chosen, (B,), itself for instance.
        """
        distances = torch.cdist(latents.flatten(1), self.data.latents.float().flatten(1))
        if skip is not None:
            distances[torch.arange(len(skip)), skip] = torch.inf
        return distances.argsort(dim=1)

    def judge(self, ranks: Tensor, wanted: Sequence[Composition], prefix: str) -> list[Fidelity]:
        """Count pictures with the wanted concept, style and background, and the concept in the best five."""
        real = self.data.compositions
        best = [real[int(row[0])] for row in ranks]
        results = []
        for attribute in _ATTRIBUTES:
            right = [
                getattr(a, attribute) == getattr(b, attribute) for a, b in zip(best, wanted, strict=True)
            ]
            results.append(Fidelity.of(prefix + attribute, torch.tensor(right)))
        among = [
            item.concept in _first_concepts(real, row, 5) for row, item in zip(ranks, wanted, strict=True)
        ]
        return [*results, Fidelity.of(prefix + "concept, best five", torch.tensor(among))]

    def own_accuracy(self) -> list[Fidelity]:
        """The judge's accuracy on every ninth real picture, which it must judge by the others."""
        chosen = torch.arange(0, len(self.data.compositions), _JUDGED_REAL_EVERY)
        ranks = self.ranks(self.data.latents[chosen].float(), chosen)
        return self.judge(ranks, [self.data.compositions[int(index)] for index in chosen], "real ")


def _first_concepts(real: Sequence[Composition], ranks: Tensor, count: int) -> set[str]:
    found: dict[str, None] = {}
    for index in ranks.tolist():
        found.setdefault(real[index].concept)
        if len(found) == count:
            break
    return set(found)


def _prompts(data: CaptionedLatents) -> list[tuple[Composition, str]]:
    """For every drawing the plain picture and one with a background that the real pictures show too.

    Combinations that no real picture shows are left out: the nearest real picture can never have them.
    """
    chosen: dict[tuple[int, bool], tuple[Composition, str]] = {}
    for item in data.latents.compositions:
        if item.colour is not None or item.size != "normal":
            continue
        plain = item.background == DEFAULT_BACKGROUND
        concept = data.concepts[item.concept]
        words = concept.name
        if not concept.is_plural:
            words = ("an " if words[0] in "aeiou" else "a ") + words
        ending = "" if plain else f", {item.background} background"
        chosen.setdefault((item.drawing, plain), (item, f"{words}, {item.style} style{ending}"))
    return list(chosen.values())


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
    judge = NearestPicture(data.latents)
    results = judge.own_accuracy()
    prompts = _prompts(data)
    if limit is not None and limit < len(prompts):
        prompts = [prompts[index * len(prompts) // limit] for index in range(limit)]
    tokenizer = clip_tokenizer()
    rows = torch.stack([data.vocabulary.encode(text, tokenizer, 77) for _, text in prompts])
    empty = data.vocabulary.encode("", tokenizer, 77)
    side = data.latents.latents.shape[-1]
    latents = []
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        latents.append(
            sample_latents(model, part, empty, side=side, steps=steps, cfg_scale=cfg_scale, seed=1000 + start)
        )
    ranks = judge.ranks(torch.cat(latents))
    wanted = [composition for composition, _ in prompts]
    results += judge.judge(ranks, wanted, "generated ")
    for style in sorted({composition.style for composition in wanted}):
        chosen = [index for index, composition in enumerate(wanted) if composition.style == style]
        results += judge.judge(ranks[chosen], [wanted[index] for index in chosen], f"{style}: ")[:1]
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
