"""What the denoiser learns: forward noising, the target and the weights of timesteps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from modules.families.family import Prediction

__all__ = [
    "add_noise",
    "masked_errors",
    "min_snr_weights",
    "offset_noise",
    "stratified_timesteps",
    "target",
    "v_target",
]


def _as_column(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def add_noise(x0: Tensor, eps: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """The latent at a timestep: ``sqrt(a) x0 + sqrt(1 - a) eps``.

    Args:
        x0: Clean latents, (B, C, h, w).
        eps: Standard normal noise, (B, C, h, w).
        alphas_cumprod: Signal's share of the variance at each row's timestep, (B,), in 0..1.

    Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", equation 4.
    """
    return _as_column(alphas_cumprod.sqrt()) * x0 + _as_column((1 - alphas_cumprod).sqrt()) * eps


def v_target(x0: Tensor, eps: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """What a v-predicting network shall answer: ``sqrt(a) eps - sqrt(1 - a) x0``; shapes as in `add_noise`.

    Source: Salimans & Ho 2022, "Progressive Distillation for Fast Sampling of Diffusion Models", appendix D.
    """
    return _as_column(alphas_cumprod.sqrt()) * eps - _as_column((1 - alphas_cumprod).sqrt()) * x0


def target(prediction: Prediction, x0: Tensor, eps: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """What the network shall answer: the noise itself or v; shapes as in `add_noise`."""
    return v_target(x0, eps, alphas_cumprod) if prediction == "v" else eps


def min_snr_weights(
    alphas_cumprod: Tensor, gamma: float, *, prediction: Prediction = "v", floor: float = 0.0
) -> Tensor:
    """Weights of the squared error: ``min(SNR, gamma) / (SNR + 1)`` of v, ``min(SNR, gamma) / SNR`` of eps.

    Args:
        alphas_cumprod: (B,), in 0..1.
        gamma: Largest signal-to-noise ratio that still adds weight; infinity gives plain x0 weighting.
        prediction: What the network predicts.
        floor: Least weight of the noisy half (SNR < 1), where the text alone decides what becomes of it.

    Source: Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy", section 3.4.
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    weights = snr.clamp(max=gamma) / (snr + 1 if prediction == "v" else snr)
    return torch.where(snr < 1, weights.clamp(min=floor), weights)


def offset_noise(shape: Sequence[int], strength: float, generator: torch.Generator) -> Tensor:
    """Standard normal noise (B, C, h, w) plus ``strength`` times one normal number a row and channel.

    The shift lets a model learn pictures that are darker or brighter than the average.

    Source: Guttenberg 2023, "Diffusion with Offset Noise".
    """
    eps = torch.randn(*shape, generator=generator)
    if strength:
        eps = eps + strength * torch.randn(*shape[:2], 1, 1, generator=generator)
    return eps


def masked_errors(predicted: Tensor, wanted: Tensor, mask: Tensor | None) -> Tensor:
    """Mean squared error of each row, (B,), over the cells that the mask (B, 1, h, w) in 0..1 counts."""
    errors = (predicted.float() - wanted).square()
    if mask is None:
        return errors.mean((1, 2, 3))
    return (errors * mask).mean((1, 2, 3)) / mask.mean((1, 2, 3)).clamp(min=1e-6)


def stratified_timesteps(
    count: int, timesteps: int, generator: torch.Generator, *, shift: float = 1.0
) -> Tensor:
    """One timestep from each of ``count`` equally likely intervals, shuffled; (count,) int64.

    Less variance of the loss than independent draws, with the same mean. With ``shift`` s a uniform
    fraction u of 0..timesteps becomes ``s u / (1 + (s - 1) u)``: more noisy timesteps for s above 1.

    Source: Esser et al. 2024, "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis",
    equation 23, for the shift: larger latents need more noise before their layout is undecided.
    """
    positions = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    positions = shift * positions / (1 + (shift - 1) * positions)
    drawn = (positions * timesteps).long().clamp(max=timesteps - 1)
    return drawn[torch.randperm(count, generator=generator)]
