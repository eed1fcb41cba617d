"""LCM: multistep sampling of latent consistency models."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import evaluate, step_done
from modules.diffusion.sampling import Sampler, SamplerState
from modules.diffusion.schedule import ConsistencySchedule

__all__ = ["sample_lcm"]

SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0


def _boundary(timestep: Tensor) -> tuple[Tensor, Tensor]:
    """Weights c_skip, c_out of the latent and of the network's x0. Source: the paper's appendix, eq. 9."""
    scaled = timestep * TIMESTEP_SCALING
    c_skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
    return c_skip, scaled / (scaled**2 + SIGMA_DATA**2) ** 0.5


def sample_lcm(state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions) -> Sampler:
    """Jump to x0, add noise of the next level, jump again.

    The network is told the nearest of the timesteps that consistency models are distilled on.

    Source: Luo et al. 2023, "Latent Consistency Models", algorithm 3.
    """
    table = ConsistencySchedule.of(options.schedule)
    x = state.x
    for i in range(state.step, len(sigmas) - 1):
        timestep = table.sigma_to_t(sigmas[i])
        c_skip, c_out = _boundary(timestep)
        denoised = c_out * (yield from evaluate(x, sigmas[i], timestep)) + c_skip * x
        x = denoised
        if sigmas[i + 1] > 0:
            x = x + sigmas[i + 1] * noise.next()
        yield step_done(i + 1, x, denoised, noise)
    return x
