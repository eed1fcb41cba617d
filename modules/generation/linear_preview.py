"""A latent as a picture by one small convolution: known for the usual VAEs, fitted for any other.

The fit is the thing nobody has to deliver: pictures of coloured shapes are encoded by the VAE itself, and
the linear map from each latent cell and its neighbours back to the picture is solved by least squares.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from modules.checkpoints.model import LoadedModel

__all__ = ["LinearPreview", "fit_linear_preview", "grey_preview", "known_linear_preview"]

KERNEL = 3  # cells; 5 is no better to see
SUBPIXELS = 2  # picture rows a cell; with 4 the cells begin to show as a grid
FIT_PICTURES = 4
FIT_CELLS = 16  # side of their latents: 1024 equations a colour for 37 unknowns
RIDGE = 1e-3  # keeps the solution small where the shapes say little


@dataclass(frozen=True)
class LinearPreview:
    """Colours in 0..1 as a linear function of a cell and its neighbours.

    Attributes:
        weight: (3 * s * s, C, k, k) for s x s pixels a cell.
        bias: (3 * s * s,).
        pixels: s.
    """

    weight: Tensor
    bias: Tensor
    pixels: int = 1

    def draw(self, latent: Tensor) -> Image.Image:
        """One latent (1, C, h, w) as a picture of ``s * h`` x ``s * w`` pixels."""
        margin = self.weight.shape[-1] // 2
        cells = (
            F.pad(latent.float().cpu(), (margin,) * 4, mode="replicate") if margin else latent.float().cpu()
        )
        colours = F.pixel_shuffle(F.conv2d(cells, self.weight, self.bias), self.pixels)[0]
        bytes_ = (colours.clamp(0, 1) * 255).round().to(torch.uint8)
        return Image.fromarray(bytes_.permute(1, 2, 0).contiguous().numpy())


def known_linear_preview(matrix: tuple[tuple[float, float, float], ...]) -> LinearPreview:
    """From a family's published matrix (C rows of RGB), which gives -1..1, one pixel a cell."""
    rows = torch.tensor(matrix, dtype=torch.float32) / 2
    return LinearPreview(rows.T[:, :, None, None].contiguous(), torch.full((3,), 0.5))


def grey_preview(channels: int) -> LinearPreview:
    """One that draws nothing, for latents of which nothing can be known."""
    return LinearPreview(torch.zeros(3, channels, 1, 1), torch.full((3,), 0.5))


def fit_linear_preview(model: LoadedModel) -> LinearPreview:
    """Fit one to a model's VAE; costs one encoding of four small pictures."""
    pictures = _shapes(FIT_PICTURES, FIT_CELLS * model.latent_factor)
    mean, _logvar = model.encode(pictures * 2 - 1)
    latents = mean * model.latent_scale
    height, width = latents.shape[-2:]
    wanted = F.interpolate(pictures, size=(height * SUBPIXELS, width * SUBPIXELS), mode="area")
    margin = KERNEL // 2
    around = F.unfold(F.pad(latents, (margin,) * 4, mode="replicate"), KERNEL).transpose(1, 2).flatten(0, 1)
    targets = F.pixel_unshuffle(wanted, SUBPIXELS).permute(0, 2, 3, 1).flatten(0, 2)
    design = torch.cat([around, torch.ones(len(around), 1)], dim=1)
    gram = design.T @ design + RIDGE * len(design) * torch.eye(design.shape[1])
    solution = torch.linalg.solve(gram, design.T @ targets)
    weight = solution[:-1].T.reshape(-1, latents.shape[1], KERNEL, KERNEL)
    return LinearPreview(weight.contiguous(), solution[-1], SUBPIXELS)


def _shapes(count: int, side: int) -> Tensor:
    """Pictures of coloured ellipses and boxes under soft gradients, (count, 3, side, side) in 0..1."""
    generator = np.random.default_rng(0)
    slope = np.linspace(-0.15, 0.15, side)
    pictures = []
    for _ in range(count):
        picture = Image.new("RGB", (side, side), _colour(generator))
        draw = ImageDraw.Draw(picture)
        for number in range(12):
            x, y = (float(value) for value in generator.uniform(-0.2, 0.9, 2) * side)
            width, height = (float(value) for value in generator.uniform(0.05, 0.5, 2) * side)
            shape = draw.ellipse if number % 2 else draw.rectangle
            shape((x, y, x + width, y + height), fill=_colour(generator))
        across, down = generator.uniform(-1, 1, (2, 3))
        light = slope[None, :, None] * across + slope[:, None, None] * down
        pictures.append(np.clip(np.asarray(picture) / 255 + light, 0, 1))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()


def _colour(generator: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in generator.integers(0, 256, 3))
    return red, green, blue
