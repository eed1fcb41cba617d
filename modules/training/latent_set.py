"""Pictures encoded once: the data set of the denoiser."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modules.exceptions import TrainingError
from modules.networks.vae import AutoencoderKL
from modules.training.compositions import Composition, Thing, compose, plan_compositions
from modules.training.concepts import Concept, drawings_of
from modules.training.config import DataRecipe
from modules.training.held_out import trained_drawings
from modules.training.icons import IconLibrary
from modules.training.loop import write_tensors
from modules.training.two_things import compose_two, plan_two
from modules.training.whitening import Whitening

__all__ = ["LatentSet", "encode_compositions", "load_latent_set", "planned_pictures"]

_LOG = logging.getLogger(__name__)
_ENCODE_BATCH = 8
_PLAIN_VIEW_WEIGHT = 3.0  # the plain picture of a drawing is what most prompts ask for


@dataclass(frozen=True)
class LatentSet:
    """Whitened latents with what they show.

    Attributes:
        latents: (N, Z, h, w) float16.
        compositions: What each shows.
        whitening: How the autoencoder's latents were whitened.
    """

    latents: Tensor
    compositions: tuple[Composition, ...]
    whitening: Whitening

    @property
    def shows_two(self) -> bool:
        """Whether there are pictures of two things."""
        return any(item.second is not None for item in self.compositions)

    def weights(self, styles: Mapping[str, float], two_objects: float = 0.0) -> NDArray[np.float64]:
        """Probability of each latent, (N,).

        Args:
            styles: The share of every style.
            two_objects: The share of pictures of two things in every style that has some.
        """
        kinds = [(item.style, item.second is not None) for item in self.compositions]
        counts = dict.fromkeys(kinds, 0.0)
        raw = np.array([_PLAIN_VIEW_WEIGHT if _is_plain(item) else 1.0 for item in self.compositions])
        for kind, weight in zip(kinds, raw, strict=True):
            counts[kind] += float(weight)
        shares = {
            (style, two): styles[style]
            * (1.0 if (style, not two) not in counts else two_objects if two else 1 - two_objects)
            for style, two in counts
        }
        share = np.array([shares[kind] / counts[kind] for kind in kinds])
        weights: NDArray[np.float64] = raw * share
        return weights / weights.sum()


def _is_plain(composition: Composition) -> bool:
    """Whether it is what most prompts ask for: one thing as it is, on white."""
    return (
        composition.background == "white"
        and composition.colour is None
        and composition.size == "normal"
        and composition.second is None
    )


def planned_pictures(
    concepts: tuple[Concept, ...], library: IconLibrary, data: DataRecipe
) -> Iterator[tuple[Composition, float | None]]:
    """Every composition that a recipe trains on, with the dominant hue of what is recoloured in it."""
    drawings = trained_drawings(drawings_of(concepts, library), data.held_out_styles)
    yield from plan_compositions(concepts, drawings, library.pixels, views=data.views, seed=data.seed)
    for plan in plan_two(drawings, library.pixels, count=data.two_objects, seed=data.seed):
        yield plan, None


@torch.no_grad()
def encode_compositions(
    autoencoder: AutoencoderKL,
    library: IconLibrary,
    concepts: tuple[Concept, ...],
    folder: Path,
    data: DataRecipe,
) -> LatentSet:
    """Compose all pictures of the recipe, encode them and write ``latents-<side>.pt``."""
    compositions: list[Composition] = []
    encoded: list[Tensor] = []
    pending: list[NDArray[np.uint8]] = []

    def flush() -> None:
        if pending:
            pictures = torch.from_numpy(np.stack(pending)).permute(0, 3, 1, 2).float() / 127.5 - 1
            mean, _ = autoencoder.encode(pictures.contiguous(memory_format=torch.channels_last))
            encoded.append(mean.contiguous())
            pending.clear()

    for number, (plan, hue) in enumerate(planned_pictures(concepts, library, data)):
        rng = np.random.default_rng((data.seed, number))
        pending.append(_drawn(plan, hue, library, rng, data.side))
        compositions.append(plan)
        if len(pending) == _ENCODE_BATCH:
            flush()
        if number % 1000 == 999:
            _LOG.info("%d pictures encoded", number + 1)
    flush()
    raw = torch.cat(encoded)
    whitening = Whitening.of(raw)
    latents = whitening.apply(raw).half()
    state = {"latents": latents, "mean": whitening.mean, "matrix": whitening.matrix}
    write_tensors(state, folder / f"latents-{data.side}.pt")
    records = json.dumps([asdict(composition) for composition in compositions])
    (folder / f"latents-{data.side}.json").write_text(records, encoding="utf-8")
    return LatentSet(latents, tuple(compositions), whitening)


def _drawn(
    plan: Composition, hue: float | None, library: IconLibrary, rng: np.random.Generator, side: int
) -> NDArray[np.uint8]:
    first = np.asarray(library.pixels[plan.drawing])
    if plan.second is None:
        return compose(first, hue, plan, rng, side)
    return compose_two(first, np.asarray(library.pixels[plan.second.drawing]), plan, rng, side)


def load_latent_set(folder: Path, side: int) -> LatentSet:
    """Read what :func:`encode_compositions` wrote.

    Raises:
        TrainingError: There is nothing.
    """
    try:
        state = torch.load(folder / f"latents-{side}.pt", weights_only=True)
        records = json.loads((folder / f"latents-{side}.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrainingError(f"There are no latents in {folder}: run the stage 'latents' first.") from error
    compositions = tuple(_composition(record) for record in records)
    return LatentSet(state["latents"], compositions, Whitening(state["mean"], state["matrix"]))


def _composition(record: dict[str, Any]) -> Composition:
    second = record.pop("second", None)  # files that were written before there were two things have none
    return Composition(**record, second=Thing(**second) if second else None)
