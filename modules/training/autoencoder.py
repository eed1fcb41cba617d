"""Train the autoencoder on icons over plain backgrounds, at two scales."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from modules.exceptions import TrainingError
from modules.networks.vae import AutoencoderKL, VaeConfig
from modules.training.config import AutoencoderRecipe
from modules.training.icons import IconLibrary
from modules.training.initialisation import initialise_autoencoder
from modules.training.loop import LoopSettings, Trainer, numpy_generator, step_generator, write_tensors
from modules.training.optimisers import LearningRateSchedule, build_optimisers
from modules.training.palette import COLOURS

__all__ = [
    "CropSampler",
    "build_autoencoder",
    "load_autoencoder",
    "peak_signal_to_noise",
    "reconstruction_loss",
    "train_autoencoder",
]

_LOG = logging.getLogger(__name__)
_HELD_OUT_EVERY = 97  # every 97th drawing is never trained on; 97 is prime, so all sets and groups occur
_VALIDATION_SIZE = 48
_POOLS = (2, 4, 8)  # scales at which mean colours must agree; the factor of the autoencoder is 8


@dataclass(frozen=True)
class CropSampler:
    """Squares cut from drawings over plain backgrounds.

    Attributes:
        icons: The drawings.
        indices: Which of them may be drawn.
    """

    icons: IconLibrary
    indices: NDArray[np.int64]

    def sample(self, rng: np.random.Generator, *, count: int, window: int, pool: int) -> Tensor:
        """Pictures (count, 3, window / pool, window / pool) in -1..1.

        Args:
            rng: Source of every choice.
            count: Number of pictures.
            window: Side of the square that is cut, in pixels of the drawing.
            pool: The square is made smaller by this factor.
        """
        drawings = self.icons.pixels
        side = drawings.shape[1]
        squares = []
        for index in rng.choice(self.indices, count):
            top, left = rng.integers(0, side - window + 1, 2)
            squares.append(np.asarray(drawings[index, top : top + window, left : left + window]))
        rgba = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255  # B 4 w w
        colours = rgba[:, :3]
        if rng.random() < 0.3:  # other colours of the same shapes
            colours = colours[:, torch.from_numpy(rng.permutation(3))]
        background = torch.from_numpy(_backgrounds(rng, count)).float()[:, :, None, None]
        picture = colours * rgba[:, 3:] + background * (1 - rgba[:, 3:])
        if rng.random() < 0.5:
            picture = picture.flip(3)
        if pool > 1:
            picture = F.avg_pool2d(picture, pool)
        return (picture * 2 - 1).contiguous(memory_format=torch.channels_last)


def _backgrounds(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    named = np.array(list(COLOURS.values())) / 255
    colours = named[rng.integers(0, len(named), count)] + rng.uniform(-0.02, 0.02, (count, 3))
    kind = rng.random((count, 1))
    colours = np.where(kind < 0.3, 1.0, np.where(kind > 0.85, rng.random((count, 3)), colours))
    clipped: NDArray[np.float64] = colours.clip(0, 1)
    return clipped


def reconstruction_loss(reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of pictures (B, 3, H, W) in -1..1: all of it, and the plain absolute difference within it.

    Edges count extra, so that lines stay sharp; mean colours of cells count extra, so that plain areas
    are right first.
    """
    difference = reconstruction - target
    absolute = difference.abs().mean()
    edges = (difference[..., 1:] - difference[..., :-1]).abs().mean()
    edges = edges + (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    pooled = torch.stack([F.avg_pool2d(difference, size).abs().mean() for size in _POOLS]).sum()
    return absolute + 0.25 * edges + 0.7 * pooled + 0.5 * difference.square().mean(), absolute


def peak_signal_to_noise(reconstruction: Tensor, target: Tensor) -> Tensor:
    """PSNR in dB of each picture (B, 3, H, W) in -1..1, after clamping; (B,)."""
    error = ((reconstruction.clamp(-1, 1) - target) / 2).square().mean((1, 2, 3))
    return -10 * error.log10()


def build_autoencoder(recipe: AutoencoderRecipe) -> AutoencoderKL:
    """An untrained autoencoder of the recipe's shape."""
    network = AutoencoderKL(
        VaeConfig(
            channels=recipe.channels,
            channel_mult=recipe.channel_mult,
            num_res_blocks=recipe.num_res_blocks,
            groups=recipe.groups,
        )
    )
    initialise_autoencoder(network)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_autoencoder(recipe: AutoencoderRecipe, folder: Path) -> AutoencoderKL:
    """The averaged weights that :func:`train_autoencoder` left in ``folder``.

    Raises:
        TrainingError: There are none yet.
    """
    network = build_autoencoder(recipe)
    try:
        network.load_state_dict(torch.load(folder / "autoencoder.pt", weights_only=True))
    except FileNotFoundError as error:
        raise TrainingError(f"There is no autoencoder in {folder}: run the stage 'autoencoder'.") from error
    return network.eval()


def train_autoencoder(recipe: AutoencoderRecipe, library: IconLibrary, folder: Path) -> None:
    """Train and leave ``autoencoder.pt`` (averaged weights) and ``autoencoder.png`` in ``folder``."""
    torch.manual_seed(recipe.seed)
    network = build_autoencoder(recipe)
    indices = np.arange(len(library.icons))
    held_out = indices[::_HELD_OUT_EVERY][:_VALIDATION_SIZE]
    train = CropSampler(library, np.setdiff1d(indices, indices[::_HELD_OUT_EVERY]))
    validation = CropSampler(library, held_out).sample(
        numpy_generator(recipe.seed, 0), count=32, window=256, pool=1
    )
    settings = LoopSettings(
        steps=recipe.steps,
        schedule=LearningRateSchedule(recipe.steps, warmup=50, hold=recipe.hold, shape="cosine"),
        ema_decay=0.995,
    )
    optimisers = build_optimisers(
        network, adam_rate=recipe.adam_rate, muon_rate=recipe.muon_rate, weight_decay=1e-4
    )
    trainer = Trainer(network, optimisers, settings, folder / "autoencoder-state.pt")
    trainer.resume()

    def measure(step: int) -> tuple[Tensor, dict[str, float]]:
        pictures = _batch(train, recipe, step)
        mean, logvar = network.encode(pictures)
        noise = torch.randn(mean.shape, generator=step_generator(recipe.seed, step))
        decoded = network.decode(mean + noise * (0.5 * logvar).exp())
        loss, absolute = reconstruction_loss(decoded, pictures)
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        figures = {"L1": absolute.item(), "std": mean.std().item(), "logvar": logvar.mean().item()}
        return loss + recipe.kl_weight * divergence, figures

    def report(step: int) -> None:
        psnr, decoded = _validate(network, validation)
        _LOG.info("step %d validation PSNR %.2f dB at 256 px", step, psnr)
        _draw_pairs(validation, decoded, folder / "autoencoder.png")
        write_tensors(network.state_dict(), folder / "autoencoder.pt")

    trainer.run(measure, on_save=report)


def _batch(train: CropSampler, recipe: AutoencoderRecipe, step: int) -> Tensor:
    rng = numpy_generator(recipe.seed, step)
    if step < recipe.whole_from * recipe.steps:
        window, pool = (64, 1) if step % 2 else (128, 2)
        return train.sample(rng, count=recipe.batch, window=window, pool=pool)
    # later larger windows and whole pictures, because group norms see all of a picture
    window, pool, share = ((128, 1, 4), (256, 1, 16), (256, 2, 4))[step % 3]
    return train.sample(rng, count=max(2, recipe.batch // share), window=window, pool=pool)


@torch.no_grad()
def _validate(network: AutoencoderKL, pictures: Tensor) -> tuple[float, Tensor]:
    decoded = torch.cat([network.decode(network.encode(part)[0]) for part in pictures.split(8)])
    return peak_signal_to_noise(decoded, pictures).mean().item(), decoded.clamp(-1, 1)


def _draw_pairs(pictures: Tensor, decoded: Tensor, path: Path, columns: int = 8) -> None:
    side = pictures.shape[-1]
    rows = len(pictures) // columns
    canvas = Image.new("RGB", (columns * side, 2 * rows * side))
    for index, pair in enumerate(zip(pictures, decoded, strict=True)):
        for below, picture in enumerate(pair):
            pixels = ((picture + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
            place = (index % columns * side, (2 * (index // columns) + below) * side)
            canvas.paste(Image.fromarray(pixels), place)
    canvas.save(path)
