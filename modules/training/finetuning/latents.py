"""Pictures encoded once, before training: latents, masks and sizes, kept on disk for the next start."""

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.exceptions import TrainingError
from modules.training.finetuning.buckets import Fit, bucket_sizes, fit_picture, nearest_bucket
from modules.training.finetuning.pictures import TrainingPicture, read_mask, read_picture
from modules.training.finetuning.recipe import DataChoice
from modules.training.loop import step_generator, write_tensors

__all__ = ["EncodedPicture", "encode_pictures", "fit_of", "settled"]


@dataclass(frozen=True, eq=False)
class EncodedPicture:
    """A picture as the loop needs it.

    Attributes:
        caption: what is said about it.
        repeats: how often it is seen in one round.
        mean, std: of its latent, (C, h, w) float32, in the U-Net's scale.
        mask: where to learn, (1, h, w) in 0..1; None is everywhere.
        sizes: original height and width, cropped top and left, height and width of the bucket, in pixels.
    """

    caption: str
    repeats: int
    mean: Tensor
    std: Tensor
    mask: Tensor | None
    sizes: tuple[int, int, int, int, int, int]


def fit_of(picture: TrainingPicture, choice: DataChoice, resolution: int) -> Fit:
    """How a picture is scaled and cropped."""
    sizes = bucket_sizes(resolution, choice.bucket_step) if choice.buckets else ((resolution, resolution),)
    return fit_picture(picture.width, picture.height, nearest_bucket(picture.width, picture.height, sizes))


def encode_pictures(
    model: LoadedModel,
    pictures: Sequence[TrainingPicture],
    choice: DataChoice,
    *,
    resolution: int,
    cache: Path,
) -> Generator[int, None, tuple[EncodedPicture, ...]]:
    """Encode all pictures, mirrored ones too if they are wanted; yields the number of those done.

    Args:
        model: whose autoencoder is used.
        pictures: what :func:`~modules.training.finetuning.pictures.read_pictures` found.
        choice: buckets, masks and mirroring.
        resolution: side of a square picture, in pixels.
        cache: file that keeps the latents; it is written anew when anything they depend on has changed.

    Raises:
        TrainingError: a picture has changed and cannot be read any more.
    """
    key = _key(model, pictures, choice, resolution)
    encoded = _cached(cache, key, pictures)
    if encoded is None:
        encoded = []
        for number, picture in enumerate(pictures, start=1):
            encoded += _encoded(model, picture, choice, resolution)
            yield number
        write_tensors({"key": key, "pictures": [_plain(item) for item in encoded]}, cache)
    return tuple(encoded)


def settled(
    pictures: Sequence[EncodedPicture], sampling: Literal["random", "once", "deterministic"], seed: int
) -> tuple[EncodedPicture, ...]:
    """The pictures with latents that are drawn at each step, once now, or are the means."""
    if sampling == "random":
        return tuple(pictures)
    means = [item.mean for item in pictures]
    if sampling == "once":
        noises = [torch.randn(mean.shape, generator=step_generator(seed, i)) for i, mean in enumerate(means)]
        means = [item.mean + item.std * noise for item, noise in zip(pictures, noises, strict=True)]
    return tuple(
        replace(item, mean=mean, std=torch.zeros_like(item.std))
        for item, mean in zip(pictures, means, strict=True)
    )


def _encoded(
    model: LoadedModel, picture: TrainingPicture, choice: DataChoice, resolution: int
) -> list[EncodedPicture]:
    fit = fit_of(picture, choice, resolution)
    image, opacity = read_picture(picture.path)
    pixels = torch.from_numpy(_cut(image, fit)).permute(2, 0, 1)[None].float() / 127.5 - 1
    grey = read_mask(picture.mask) if picture.mask else opacity if choice.alpha_masks else None
    mask = None
    if grey is not None:
        whole = torch.from_numpy(_cut(grey.resize(image.size), fit)).float()[None, None] / 255
        mask = F.avg_pool2d(whole, model.latent_factor)[0]
        if not mask.any():
            raise TrainingError(f"The mask of {picture.path.name} is black: nothing of it could be learnt.")
    sizes = (picture.height, picture.width, fit.top, fit.left, fit.bucket[1], fit.bucket[0])
    views = []
    for mirrored in (False, True) if choice.flip else (False,):
        mean, logvar = model.encode(pixels.flip(3) if mirrored else pixels)
        views.append(
            EncodedPicture(
                picture.caption,
                picture.repeats,
                mean[0] * model.latent_scale,
                (0.5 * logvar[0]).exp() * model.latent_scale,
                mask.flip(2) if mirrored and mask is not None else mask,
                sizes,
            )
        )
    return views


def _cut(image: Image.Image, fit: Fit) -> np.ndarray:
    scaled = image.resize(fit.scaled, Image.Resampling.LANCZOS)
    box = (fit.left, fit.top, fit.left + fit.bucket[0], fit.top + fit.bucket[1])
    return np.array(scaled.crop(box))


def _key(model: LoadedModel, pictures: Sequence[TrainingPicture], choice: DataChoice, resolution: int) -> str:
    """Everything that latents depend on, as a hash."""
    digest = hashlib.sha256()
    vae = model.vae_file.path if model.vae_file else model.file.path
    said: list[object] = [str(vae), _state(vae), str(model.runtime.vae_dtype), model.latent_scale]
    said += [resolution, choice.bucket_step, choice.buckets, choice.flip, choice.masks, choice.alpha_masks]
    for picture in pictures:
        said += [str(picture.path), _state(picture.path), picture.mask and _state(picture.mask)]
    digest.update(repr(said).encode())
    return digest.hexdigest()


def _state(path: Path) -> tuple[int, int] | None:
    if not path.exists():
        return None
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def _plain(item: EncodedPicture) -> dict[str, object]:
    return {"mean": item.mean, "std": item.std, "mask": item.mask, "sizes": list(item.sizes)}


def _cached(cache: Path, key: str, pictures: Sequence[TrainingPicture]) -> list[EncodedPicture] | None:
    """What the cache holds; captions and repeats are the present ones."""
    if not cache.exists():
        return None
    kept = torch.load(cache, map_location="cpu", weights_only=True)
    if kept["key"] != key:
        return None
    views = len(kept["pictures"]) // len(pictures)
    known = [
        EncodedPicture("", 1, entry["mean"], entry["std"], entry["mask"], tuple(entry["sizes"]))
        for entry in kept["pictures"]
    ]
    return [
        replace(item, caption=pictures[index // views].caption, repeats=pictures[index // views].repeats)
        for index, item in enumerate(known)
    ]
