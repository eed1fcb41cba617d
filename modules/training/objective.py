"""What the denoiser learns: forward noising, the v target and the weights of timesteps."""

import torch
from torch import Tensor

__all__ = ["add_noise", "min_snr_weights", "stratified_timesteps", "v_target"]


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


def min_snr_weights(alphas_cumprod: Tensor, gamma: float, floor: float = 0.0) -> Tensor:
    """Weights of the squared error of v: ``min(SNR, gamma) / (SNR + 1)``, at least ``floor`` where SNR < 1.

    Args:
        alphas_cumprod: (B,), in 0..1.
        gamma: Largest signal-to-noise ratio that still adds weight; infinity gives plain x0 weighting.
        floor: Least weight of the noisy half, where the text alone decides what the picture becomes.

    Source: Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy", section 3.4.
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    weights = snr.clamp(max=gamma) / (snr + 1)
    return torch.where(snr < 1, weights.clamp(min=floor), weights)


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
