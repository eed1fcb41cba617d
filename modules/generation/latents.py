"""Between pictures and latents: A1111's scaling, truncation and posterior noise."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modules.checkpoints.execution import is_finite
from modules.checkpoints.model import LoadedModel
from modules.exceptions import NumericalError
from modules.imaging.strips import in_strips
from modules.settings.options import Settings

__all__ = ["decode_checked", "decode_latent", "encode_pixels", "pixels_to_tensor"]

_STRIP = 64 * 1024  # pixels converted at a time


def pixels_to_tensor(pixels: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 to (1, 3, H, W) float32 in [-1, 1]."""
    scaled = pixels.astype(np.float32) / 255.0
    return torch.from_numpy(np.moveaxis(scaled, 2, 0))[None] * 2.0 - 1.0


def encode_pixels(model: LoadedModel, pixels: Tensor, seed: int | None = None) -> Tensor:
    """Picture (1, 3, H, W) in [-1, 1] to a scaled latent (1, C, H/8, W/8) float32 on the CPU.

    Args:
        model: whose VAE encodes.
        pixels: the picture.
        seed: samples the posterior as A1111 does right after it drew the first noise; None takes the
            posterior's mean. (A1111 samples a start picture from whatever state earlier jobs left; no choice
            is nearer to all its runs than the mean. The spread is about 1e-3, below a grey level.)
    """
    mean, logvar = model.encode(pixels)
    if seed is None:
        return mean * model.latent_scale
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
    return (mean + torch.exp(0.5 * logvar) * noise) * model.latent_scale


def decode_latent(model: LoadedModel, latent: Tensor) -> np.ndarray:
    """Scaled latent (1, C, h, w) to a picture (8h, 8w, 3) uint8; values are cut, not rounded, as A1111 does.

    NaN becomes black; see :func:`decode_checked`.
    """
    return _converted(model.decode(latent / model.latent_scale)[0]).pixels


def decode_checked(model: LoadedModel, latent: Tensor, settings: Settings) -> np.ndarray:
    """Like :func:`decode_latent`, for results: NaN and pictures without any light are tried again, once.

    Raises:
        NumericalError: the picture cannot be had in 32-bit floats either.
    """
    if not model.runtime.check_values:
        return decode_latent(model, latent)
    if not is_finite(latent):
        raise NumericalError("sampler", "the sampler ended with NaN; lower the CFG scale or choose another")
    z = latent / model.latent_scale
    picture = _converted(model.decode(z)[0])
    if picture.fault and settings.auto_vae_precision and model.raise_vae_precision():
        picture = _converted(model.decode(z)[0])
    if picture.fault:
        raise NumericalError("VAE", picture.fault)
    return picture.pixels


@dataclass(frozen=True)
class _Converted:
    """A decoder's answer as a picture.

    Attributes:
        pixels: (H, W, 3) uint8.
        darkest, brightest: values of the answer, in -1..1 where it is sound; both NaN if one value is.
    """

    pixels: np.ndarray
    darkest: float
    brightest: float

    @property
    def fault(self) -> str:
        """What is wrong with the answer, "" when nothing is."""
        if not (math.isfinite(self.darkest) and math.isfinite(self.brightest)):
            return "the VAE produced NaN; choose another VAE, or --precision full"
        if self.brightest < -1.0 + 2.0 / 255.0:
            return "the VAE produced an all-black picture; choose another VAE"
        return ""


def _converted(decoded: Tensor) -> _Converted:
    """From (3, H, W) float32, in strips that stay in the processor's cache."""
    values = decoded.detach().numpy()
    channels, height, width = values.shape
    pixels = np.empty((height, width, channels), np.uint8)

    def convert(start: int, end: int) -> tuple[float, float]:
        strip = values[:, start:end]
        least, greatest = strip.min(), strip.max()
        levels = strip + np.float32(1.0)
        if np.isnan(least):
            np.fmax(levels, np.float32(0.0), out=levels)  # the number of the two where one is NaN
        np.clip(levels, np.float32(0.0), np.float32(2.0), out=levels)
        levels *= np.float32(127.5)  # halving is exact: the same bits as a half, times 255
        for channel, plane in enumerate(levels.astype(np.uint8)):
            pixels[start:end, :, channel] = plane
        return least, greatest

    darkest, brightest = zip(*in_strips(height, max(1, _STRIP // width), convert), strict=True)
    return _Converted(pixels, float(np.min(darkest)), float(np.max(brightest)))
