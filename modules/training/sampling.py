"""Deterministic sampling for pictures that are drawn while training, and for prior preservation."""

from collections.abc import Callable

import torch
from torch import Tensor

from modules.families.family import Prediction

__all__ = ["ddim", "start_noise"]


def start_noise(channels: int, height: int, width: int, seed: int) -> Tensor:
    """The noise (C, h, w) that a picture begins as."""
    return torch.randn(channels, height, width, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def ddim(
    x: Tensor,
    alphas_cumprod: Tensor,
    predict: Callable[[Tensor, int], Tensor],
    *,
    prediction: Prediction,
    steps: int,
) -> Tensor:
    """Turn noise (B, C, h, w) into latents.

    Args:
        x: Standard normal noise.
        alphas_cumprod: Signal's share of the variance at every timestep, (T,).
        predict: The network's guided answer for a latent and a timestep.
        prediction: What it predicts.
        steps: Evaluations.

    Source: Song et al. 2021, "Denoising Diffusion Implicit Models", equation 12 with sigma = 0.
    """
    timesteps = torch.linspace(len(alphas_cumprod) - 1, 0, steps + 1).round().long()[:-1].tolist()
    for timestep, following in zip(timesteps, [*timesteps[1:], None], strict=True):
        now = alphas_cumprod[timestep]
        then = torch.tensor(1.0) if following is None else alphas_cumprod[following]
        answer = predict(x, timestep)
        if prediction == "v":
            x0 = now.sqrt() * x - (1 - now).sqrt() * answer
            eps = now.sqrt() * answer + (1 - now).sqrt() * x
        else:
            eps = answer
            x0 = (x - (1 - now).sqrt() * eps) / now.sqrt()
        x = then.sqrt() * x0 + (1 - then).sqrt() * eps
    return x
