"""A discrete noise schedule as a function of continuous time in (0, 1], as UniPC needs it.

Source: Lu et al. 2022, "DPM-Solver", appendix D.2: log alpha is interpolated linearly.
"""

import torch
from torch import Tensor

from modules.diffusion.schedule import NoiseSchedule

__all__ = ["ContinuousTime"]


def _interpolate(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Piecewise linear through (xs, ys), xs ascending; beyond the ends the outermost pieces go on."""
    right = torch.searchsorted(xs, x.contiguous()).clamp(1, len(xs) - 1)
    x0, x1, y0, y1 = xs[right - 1], xs[right], ys[right - 1], ys[right]
    return y0 + (x - x0) * (y1 - y0) / (x1 - x0)


class ContinuousTime:
    """Timestep i of T is time (i + 1) / T; all tensors are float32 on the CPU."""

    def __init__(self, schedule: NoiseSchedule) -> None:
        self._total = schedule.timesteps
        self._log_alphas = 0.5 * schedule.alphas_cumprod.float().log()
        self._times = torch.linspace(0, 1, self._total + 1)[1:]

    def log_alpha(self, t: Tensor) -> Tensor:
        """Logarithm of the signal's scale."""
        return _interpolate(t, self._times, self._log_alphas)

    def alpha(self, t: Tensor) -> Tensor:
        """The signal's scale."""
        return self.log_alpha(t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """The noise's scale; alpha^2 + sigma^2 is 1."""
        return (1 - (2 * self.log_alpha(t)).exp()).sqrt()

    def half_log_snr(self, t: Tensor) -> Tensor:
        """Lambda: log(alpha / sigma)."""
        log_alpha = self.log_alpha(t)
        return log_alpha - 0.5 * (1 - (2 * log_alpha).exp()).log()

    def at_half_log_snr(self, lam: Tensor) -> Tensor:
        """The time of a lambda."""
        log_alpha = -0.5 * torch.logaddexp(torch.zeros_like(lam), -2 * lam)
        return _interpolate(log_alpha, self._log_alphas.flip(0), self._times.flip(0))

    def timestep(self, t: Tensor) -> Tensor:
        """What the network is told at ``t``; fractional."""
        return (t - 1 / self._total) * self._total

    def of_timestep(self, timestep: Tensor) -> float:
        """The time of a whole timestep."""
        return (timestep / self._total + 1 / self._total).item()

    def divide(self, skip_type: str, start: float, steps: int) -> Tensor:
        """``steps`` + 1 times from ``start`` down to the time of timestep 0."""
        end = 1 / self._total
        if skip_type == "time_quadratic":
            return torch.linspace(start**0.5, end**0.5, steps + 1) ** 2
        if skip_type == "logSNR":
            ends = self.half_log_snr(torch.tensor([start, end]))
            return self.at_half_log_snr(torch.linspace(ends[0].item(), ends[1].item(), steps + 1))
        return torch.linspace(start, end, steps + 1)
