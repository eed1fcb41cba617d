"""DDIM and DDIM CFG++: the deterministic (or partly random) samplers over timesteps."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import evaluate_eps, step_done
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_ddim", "sample_ddim_cfgpp"]


def _sample(
    state: SamplerState, timesteps: Tensor, noise: NoiseSource, options: SamplerOptions, *, cfgpp: bool
) -> Sampler:
    """Both variants: they differ only in the noise that points back to the latent."""
    x, table, last = state.x, options.schedule.alphas_cumprod, len(timesteps) - 1
    for step in range(state.step, last):
        index = last - step
        alpha = table[timesteps[index]].float()
        alpha_prev = table[timesteps[index - 1]].float()
        sqrt_one_minus_alpha = (1 - table[timesteps[index]]).sqrt().float()
        a, a_prev = alpha.double(), alpha_prev.double()
        sigma = (options.eta * ((1 - a_prev) / (1 - a) * (1 - a / a_prev)).clamp(min=0).sqrt()).float()

        answer = yield from evaluate_eps(x, timesteps[index])
        pred_x0 = (x - sqrt_one_minus_alpha * answer.eps) / alpha.sqrt()
        direction = answer.uncond if cfgpp else answer.eps
        dir_xt = (1.0 - alpha_prev - sigma**2).clamp(min=0).sqrt() * direction
        x = alpha_prev.sqrt() * pred_x0 + dir_xt + sigma * noise.next()
        yield step_done(step + 1, x, pred_x0, noise)
    return x


def sample_ddim(state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions) -> Sampler:
    """From the last timestep of the list down to its first. Draws at every step, also with eta 0.

    Source: Song et al. 2020, "Denoising Diffusion Implicit Models", eq. 12 and 16.
    """
    return _sample(state, sigmas, noise, options, cfgpp=False)


def sample_ddim_cfgpp(
    state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
) -> Sampler:
    """DDIM that goes back with the unconditional noise, so that guidance stays on the data manifold.

    Source: Chung et al. 2024, "CFG++: Manifold-constrained Classifier Free Guidance", algorithm 1.
    """
    return _sample(state, sigmas, noise, options, cfgpp=True)
