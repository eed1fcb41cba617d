"""Restart: Heun's method that goes back up to a middle noise level and down again."""

from itertools import pairwise

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.heun import heun_step
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import step_done
from modules.diffusion.sampling import Sampler, SamplerState
from modules.diffusion.schedulers import karras_sigmas

__all__ = ["restart_steps", "sample_restart"]

FEWEST_STEPS = 20  # below, there are none to spare for a restart
MANY_STEPS = 36  # from here on there are two restarts, of a quarter of the steps each
LOWEST_SIGMA, HIGHEST_SIGMA = 0.1, 2.0  # between which levels the restart goes


def _nearest(sigmas: Tensor, sigma: float) -> int:
    return int((sigmas - sigma).abs().argmin())


def restart_steps(sigmas: Tensor) -> list[tuple[Tensor, Tensor]]:
    """All steps (from, to), the jumps up left out: one begins where ``from`` lies above the last ``to``.

    With restarts the main schedule is made anew (Karras), so that the number of steps stays about the same.
    """
    steps = len(sigmas) - 1
    if steps < FEWEST_STEPS:
        return list(pairwise(sigmas))
    length, times = (steps // 4, 2) if steps >= MANY_STEPS else (9, 1)
    sigmas = karras_sigmas(steps - length * times, sigmas[-2].item(), sigmas[0].item())
    low, high = _nearest(sigmas, LOWEST_SIGMA), _nearest(sigmas, HIGHEST_SIGMA)
    main = list(pairwise(sigmas))
    if not 0 <= high < low:
        return main
    segment = karras_sigmas(length + 1, sigmas[low].item(), sigmas[high].item())[:-1]
    again = list(pairwise(segment))
    return main[:low] + again * times + main[low:]


def sample_restart(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """Heun steps; from sigma 0.1 noise is added up to 2 and removed again, once or twice.

    Source: Xu et al. 2023, "Restart Sampling for Improving Generative Processes", algorithm 2.
    """
    x, steps = state.x, restart_steps(sigmas)
    for i in range(state.step, len(steps)):
        sigma, sigma_next = steps[i]
        last = steps[i - 1][1] if i else sigma
        if last < sigma:
            x = x + noise.next() * (sigma**2 - last**2) ** 0.5
        x, denoised = yield from heun_step(x, sigma, sigma_next)
        yield step_done(i + 1, x, denoised, noise)
    return x
