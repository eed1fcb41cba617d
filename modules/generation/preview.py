"""Pictures of unfinished latents, cheap enough to be drawn while sampling goes on."""

import io
import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.generation.latents import decode_latent

__all__ = ["PreviewMethod", "Previewer", "fit_rgb_matrix", "preview_jpeg"]

PreviewMethod = Literal["Full", "Approx cheap"]

FIT_CELLS = 24  # side of the latents the matrix is fitted on: 576 equations a colour for 5 unknowns
FULL_DECODE_LIMIT = 4_000_000 * 1024  # parameters * latent cells up to which the real VAE is the preview
JPEG_QUALITY = 75
MAX_SIDE = 1024  # pixels of a preview sheet


class Previewer:
    """Turns x0 latents into small pictures; one instance, used by the engine's thread only.

    The linear matrix of a VAE that no family has one for is fitted once and remembered with the model.
    """

    def __init__(self) -> None:
        self._matrix: tuple[object, Tensor] | None = None

    def draw(self, model: LoadedModel, latent: Tensor, method: PreviewMethod) -> Image.Image:
        """One latent (1, C, h, w) as an RGB picture; a cell is one pixel unless the VAE decodes it."""
        if method == "Full" or self._is_cheap(model, latent):
            return Image.fromarray(decode_latent(model, latent))
        matrix = self._rgb_matrix(model)
        colours = (
            torch.einsum("chw,cr->rhw", latent[0].float().cpu(), matrix[:-1]) + matrix[-1][:, None, None]
        )
        pixels = (colours.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        return Image.fromarray(pixels)

    def _is_cheap(self, model: LoadedModel, latent: Tensor) -> bool:
        parameters = sum(p.numel() for p in model.vae.decoder.parameters())
        return parameters * latent.shape[-1] * latent.shape[-2] <= FULL_DECODE_LIMIT

    def _rgb_matrix(self, model: LoadedModel) -> Tensor:
        known = model.preview_matrix
        if known is not None:
            rows = torch.tensor(known, dtype=torch.float32) / 2  # the matrices give -1..1
            return torch.cat([rows, torch.full((1, 3), 0.5)])
        if self._matrix is None or self._matrix[0] is not model.vae:
            self._matrix = (model.vae, fit_rgb_matrix(model))
        return self._matrix[1]


def fit_rgb_matrix(model: LoadedModel) -> Tensor:
    """Least-squares map from latent cells to their mean colour, (C + 1, 3); the last row is the offset.

    The sample is a smooth random latent of unit variance decoded by the VAE itself.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, model.latent_channels, FIT_CELLS // 4, FIT_CELLS // 4, generator=generator)
    latent = F.interpolate(coarse, scale_factor=4, mode="bicubic")
    latent = latent + 0.3 * torch.randn(latent.shape, generator=generator)
    pixels = torch.from_numpy(decode_latent(model, latent)).permute(2, 0, 1)[None].float() / 255
    target = F.interpolate(pixels, size=latent.shape[-2:], mode="area")[0].flatten(1).T  # (cells, 3)
    cells = latent[0].flatten(1).T
    design = torch.cat([cells, torch.ones(len(cells), 1)], dim=1)
    return torch.linalg.lstsq(design, target).solution


def preview_jpeg(pictures: list[Image.Image]) -> bytes:
    """One or several equal-sized previews as one JPEG sheet, at most ``MAX_SIDE`` pixels a side."""
    sheet = pictures[0] if len(pictures) == 1 else _sheet(pictures)
    if max(sheet.size) > MAX_SIDE:
        sheet.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _sheet(pictures: list[Image.Image]) -> Image.Image:
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    width, height = (max(picture.size[axis] for picture in pictures) for axis in (0, 1))
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * height, i % columns * width
        sheet[y : y + picture.height, x : x + picture.width] = np.asarray(picture)
    return Image.fromarray(sheet)
