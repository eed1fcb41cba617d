"""Pictures encoded once: the data set of the denoiser."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modules.exceptions import TrainingError
from modules.networks.vae import AutoencoderKL
from modules.training.compositions import Composition, compose, plan_compositions
from modules.training.concepts import Concept, drawings_of
from modules.training.icons import IconLibrary
from modules.training.loop import write_tensors
from modules.training.whitening import Whitening

__all__ = ["LatentSet", "encode_compositions", "load_latent_set"]

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

    def weights(self, styles: Mapping[str, float]) -> NDArray[np.float64]:
        """Probability of each latent, (N,), such that every style has its share in ``styles``."""
        counts = dict.fromkeys(styles, 0.0)
        raw = np.array([_PLAIN_VIEW_WEIGHT if _is_plain(item) else 1.0 for item in self.compositions])
        for item, weight in zip(self.compositions, raw, strict=True):
            counts[item.style] += float(weight)
        share = np.array([styles[item.style] / counts[item.style] for item in self.compositions])
        weights: NDArray[np.float64] = raw * share
        return weights / weights.sum()


def _is_plain(composition: Composition) -> bool:
    return composition.background == "white" and composition.colour is None and composition.size == "normal"


@torch.no_grad()
def encode_compositions(
    autoencoder: AutoencoderKL,
    library: IconLibrary,
    concepts: tuple[Concept, ...],
    folder: Path,
    *,
    side: int,
    views: int,
    seed: int,
) -> LatentSet:
    """Compose ``views`` pictures of every drawing, encode them and write ``latents-<side>.pt``."""
    plans = plan_compositions(
        concepts, drawings_of(concepts, library), library.pixels, views=views, seed=seed
    )
    compositions: list[Composition] = []
    encoded: list[Tensor] = []
    pending: list[NDArray[np.uint8]] = []

    def flush() -> None:
        if pending:
            pictures = torch.from_numpy(np.stack(pending)).permute(0, 3, 1, 2).float() / 127.5 - 1
            mean, _ = autoencoder.encode(pictures.contiguous(memory_format=torch.channels_last))
            encoded.append(mean.contiguous())
            pending.clear()

    for number, (plan, hue) in enumerate(plans):
        rng = np.random.default_rng((seed, number))
        pending.append(compose(np.asarray(library.pixels[plan.drawing]), hue, plan, rng, side))
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
    write_tensors(state, folder / f"latents-{side}.pt")
    records = json.dumps([asdict(composition) for composition in compositions])
    (folder / f"latents-{side}.json").write_text(records, encoding="utf-8")
    return LatentSet(latents, tuple(compositions), whitening)


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
    compositions = tuple(Composition(**record) for record in records)
    return LatentSet(state["latents"], compositions, Whitening(state["mean"], state["matrix"]))
