"""PLMS: pseudo linear multistep over timesteps."""

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers.spec import SamplerOptions
from modules.diffusion.samplers.steps import evaluate_eps, step_done
from modules.diffusion.sampling import Sampler, SamplerState

__all__ = ["sample_plms"]


def _transfer(
    x: Tensor, eps: Tensor, table: Tensor, timestep: Tensor, timestep_prev: Tensor
) -> tuple[Tensor, Tensor]:
    """Move ``x`` between timesteps along ``eps``; returns it and the x0 estimate (the paper's eq. 11)."""
    alpha, alpha_prev = table[timestep].float(), table[timestep_prev].float()
    pred_x0 = (x - (1 - table[timestep]).sqrt().float() * eps) / alpha.sqrt()
    return alpha_prev.sqrt() * pred_x0 + (1.0 - alpha_prev).sqrt() * eps, pred_x0


def _extrapolated(eps: Tensor, history: tuple[Tensor, ...]) -> Tensor:
    """Adams-Bashforth over the newest noise and those before it, newest first."""
    if len(history) == 1:
        return (3 * eps - history[0]) / 2
    if len(history) == 2:
        return (23 * eps - 16 * history[0] + 5 * history[1]) / 12
    return (55 * eps - 59 * history[0] + 37 * history[1] - 9 * history[2]) / 24


def sample_plms(state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions) -> Sampler:
    """Fourth order after a first step that asks twice. ``sigmas`` holds timesteps, ascending.

    Source: Liu et al. 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds", section 3.
    """
    x, history, timesteps = state.x, state.history, sigmas
    table, last = options.schedule.alphas_cumprod, len(timesteps) - 1
    for step in range(state.step, last):
        timestep, timestep_prev = timesteps[last - step], timesteps[last - step - 1]
        eps = (yield from evaluate_eps(x, timestep)).eps
        if history:
            eps_prime = _extrapolated(eps, history)
        else:
            guess, _ = _transfer(x, eps, table, timestep, timestep_prev)
            eps_prime = (eps + (yield from evaluate_eps(guess, timestep_prev)).eps) / 2
        x, pred_x0 = _transfer(x, eps_prime, table, timestep, timestep_prev)
        history = (eps, *history)[:3]
        yield step_done(step + 1, x, pred_x0, noise, history=history)
    return x
