"""From a picture back to the noise that a sampler would have begun with to make it.

Euler's method run from the last noise level to the first: what the network believes to be the noise in the
picture is added to it, step by step. The way back is not exact, but close enough to sample the picture again
under another prompt.
"""

from collections.abc import Generator

import torch
from torch import Tensor

from modules.diffusion.sampling import Evaluate
from modules.diffusion.schedule import NoiseSchedule
from modules.domain.request import NoiseReversal
from modules.generation.denoiser import GuidedDenoiser
from modules.generation.effects import Answer, Effect

__all__ = ["reversed_noise"]


def reversed_noise(
    latent: Tensor,
    random: Tensor,
    reversal: NoiseReversal,
    denoiser: GuidedDenoiser,
    schedule: NoiseSchedule,
) -> Generator[Effect, Answer, Tensor]:
    """Noise that, laid over ``latent`` at the highest noise level, leads back to it.

    Args:
        latent: of the picture, (1, C, h, w).
        random: fresh noise of unit variance, (1, C, h, w).
        reversal: number of steps, share of fresh noise ...
        denoiser: knows the prompts that describe the picture.
        schedule: noise levels of the model.

    Returns:
        (1, C, h, w), to be scaled by the highest noise level and added to ``latent``.
    """
    found = yield from _walk_back(latent, reversal, denoiser, schedule)
    share = reversal.randomness
    mixed = ((1 - share) * found + share * random) / (share**2 + (1 - share) ** 2) ** 0.5
    return mixed - latent / schedule.sigma_max


def _walk_back(
    latent: Tensor, reversal: NoiseReversal, denoiser: GuidedDenoiser, schedule: NoiseSchedule
) -> Generator[Effect, Answer, Tensor]:
    """Add noise level by level; returns what was reached, scaled to about unit variance."""
    timesteps = torch.linspace(0, schedule.timesteps - 1, reversal.steps)
    sigmas = torch.cat([torch.zeros(1), schedule.t_to_sigma(timesteps)])
    x = latent
    for i in range(1, len(sigmas)):
        sigma, below = sigmas[i], sigmas[i - 1]
        if reversal.sigma_adjustment:
            # the level below is that of x; at the very first step it is 0, which no network knows
            seen, known, divisor = below, sigma if i == 1 else below, 2 * sigma if i == 1 else below
        else:
            seen = known = divisor = sigma
        denoised = yield from denoiser.answer(Evaluate(x, seen, schedule.sigma_to_t(known)))
        if not isinstance(denoised, Tensor):
            raise TypeError("a sampler of noise levels was answered in timesteps")
        x = x + (x - denoised) / divisor * (sigma - below)
    return x / sigmas[-1] if reversal.sigma_adjustment else x / x.std()
