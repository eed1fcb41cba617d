"""DDPM: ancestral sampling as the paper writes it, over any list of noise levels."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import evaluate, step_done
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_ddpm"]


def sample_ddpm(state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions) -> Sampler:
    """Draw each latent from the posterior q(x_prev | x, x0), with the smaller of the paper's two variances.

    Latents are kept in the scale of sigma; the formulas are for z = sqrt(alphas_cumprod) x, which has unit
    variance. No noise is added in the last step.

    Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 6 and 7, algorithm 2.
    """
    x = state.x
    alphas_cumprod = 1 / (sigmas.double() ** 2 + 1)
    for i in range(state.step, len(sigmas) - 1):
        denoised = yield from evaluate(x, sigmas[i])
        current, previous = alphas_cumprod[i], alphas_cumprod[i + 1]
        alpha = current / previous
        beta = 1 - alpha
        z = current.sqrt() * x
        mean = (
            previous.sqrt() * beta / (1 - current) * denoised
            + alpha.sqrt() * (1 - previous) / (1 - current) * z
        )
        if sigmas[i + 1] > 0:
            mean = mean + (beta * (1 - previous) / (1 - current)).sqrt() * options.eta * noise.next()
        x = mean / previous.sqrt()
        yield step_done(i + 1, x, denoised, noise)
    return x
