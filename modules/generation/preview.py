"""Pictures of unfinished latents, cheap enough to be drawn while sampling goes on."""

import io
import logging
import math
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from modules.checkpoints.model import LoadedModel
from modules.checkpoints.small_vaes import SmallVaes
from modules.exceptions import NumericalError, WebuiError
from modules.generation.effects import StepEnd
from modules.generation.latents import decode_latent
from modules.generation.linear_preview import (
    LinearPreview,
    fit_linear_preview,
    grey_preview,
    known_linear_preview,
)
from modules.generation.models import ModelPool

__all__ = ["Preview", "PreviewFormat", "PreviewMethod", "Previewer", "StepPreviews", "preview_file"]

log = logging.getLogger(__name__)

PreviewMethod = Literal["Full", "Approx NN", "Approx cheap", "TAESD"]
PreviewFormat = Literal["jpeg", "png", "webp"]

QUALITY = 75
MAX_SIDE = 1024  # pixels of a preview sheet
ENLARGED_SIDE = 512  # pixels up to which small previews are enlarged here; browsers do the rest


@dataclass(frozen=True)
class Preview:
    """A picture of a latent, and why it was drawn by another method than was asked for."""

    picture: Image.Image
    comment: str | None = None


class Previewer:
    """Turns x0 latents into pictures; one instance, used by the engine's thread only.

    The linear map of a VAE that no family has one for is fitted once and kept as long as the VAE is.
    """

    def __init__(self, small_vaes: SmallVaes) -> None:
        self._small = small_vaes
        self._fitted: WeakKeyDictionary[nn.Module, LinearPreview] = WeakKeyDictionary()

    def prepare(self, model: LoadedModel) -> None:
        """Fit what previews of this model need, so that the first picture does not wait for it."""
        self._linear(model)

    def draw(self, model: LoadedModel, latent: Tensor, method: PreviewMethod) -> Preview:
        """One latent (1, C, h, w) as an RGB picture, at the finished picture's proportions."""
        try:
            return Preview(self._drawn(model, latent, method))
        except (WebuiError, RuntimeError) as reason:  # torch says that memory is full by a RuntimeError
            return Preview(self._cheap(model, latent), f"Previews are drawn by Approx cheap. {reason}")

    def _drawn(self, model: LoadedModel, latent: Tensor, method: PreviewMethod) -> Image.Image:
        if method == "Full" and model.runtime.residency != "all":
            method = "Approx NN"  # the VAE would have to change places with the U-Net each time
        if method == "Full":
            return Image.fromarray(decode_latent(model, latent))
        if method == "TAESD":
            return _picture(_run(self._small.decoder(model), latent))
        if method == "Approx NN":
            return _enlarged(_picture(_run(self._small.approx(model), latent) / 2 + 0.5), model, latent)
        return self._cheap(model, latent)

    def _cheap(self, model: LoadedModel, latent: Tensor) -> Image.Image:
        return _enlarged(self._linear(model).draw(latent), model, latent)

    def _linear(self, model: LoadedModel) -> LinearPreview:
        known = model.preview_matrix
        if known is not None:
            return known_linear_preview(known)
        if model.vae not in self._fitted:
            try:
                self._fitted[model.vae] = fit_linear_preview(model)
            except NumericalError as reason:  # its encoder is broken; pictures need only its decoder
                log.warning("previews are grey: %s", reason)
                self._fitted[model.vae] = grey_preview(model.latent_channels)
        return self._fitted[model.vae]


@dataclass(frozen=True)
class StepPreviews:
    """Draws steps with the models they were made with."""

    models: ModelPool
    previewer: Previewer

    def __call__(self, step: StepEnd, method: PreviewMethod) -> Preview | None:
        """The step's preview; None when its model has left the memory meanwhile."""
        model = None if step.key is None else self.models.in_memory(step.key)
        latent = step.denoised if step.shown is None else step.shown
        return None if model is None else self.previewer.draw(model, latent, method)


def preview_file(pictures: list[Image.Image], format: PreviewFormat = "jpeg") -> bytes:
    """One or several previews as one file: side by side, at most ``MAX_SIDE`` pixels a side."""
    sheet = pictures[0] if len(pictures) == 1 else _sheet(pictures)
    if max(sheet.size) > MAX_SIDE:
        sheet.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = io.BytesIO()
    if format == "png":
        sheet.save(buffer, "PNG", compress_level=1)
    elif format == "webp":
        sheet.save(buffer, "WEBP", quality=QUALITY, method=0)
    else:
        sheet.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _run(network: nn.Module, latent: Tensor) -> Tensor:
    parameter = next(network.parameters())
    with torch.no_grad():
        drawn: Tensor = network(latent.to(parameter.device, parameter.dtype))
    return drawn[0].to("cpu", torch.float32)


def _picture(colours: Tensor) -> Image.Image:
    """(3, H, W) in 0..1 as a picture."""
    pixels = (colours.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).contiguous()
    return Image.fromarray(pixels.numpy())


def _enlarged(picture: Image.Image, model: LoadedModel, latent: Tensor) -> Image.Image:
    """A small preview at the finished picture's size, as far as it can be done in passing."""
    width, height = (latent.shape[axis] * model.latent_factor for axis in (-1, -2))
    shrink = min(1.0, ENLARGED_SIDE / max(width, height))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return picture if picture.width >= size[0] else picture.resize(size, Image.Resampling.BICUBIC)


def _sheet(pictures: list[Image.Image]) -> Image.Image:
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    width, height = (max(picture.size[axis] for picture in pictures) for axis in (0, 1))
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * height, i % columns * width
        sheet[y : y + picture.height, x : x + picture.width] = np.asarray(picture)
    return Image.fromarray(sheet)
