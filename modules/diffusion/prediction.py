"""What the network's output means: noise (epsilon) or velocity (v).

Latents are in the scale of the noise level ``sigma`` (x = x0 + sigma * eps) except in ``eps_at_timestep``,
where they keep unit variance as in DDPM. ``sigma`` may be 0-dim or (B,).
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from modules.diffusion.schedule import NoiseSchedule

__all__ = ["EpsilonPrediction", "Prediction", "VPrediction", "prediction_for"]


class Prediction(Protocol):
    """How to scale the network's input and read its output."""

    @property
    def schedule(self) -> NoiseSchedule:
        """Noise levels the network was trained at."""
        ...

    def model_input(self, x: Tensor, sigma: Tensor) -> Tensor:
        """``x`` (B, C, h, w) scaled to the unit variance the network was trained on."""
        ...

    def denoised(self, x: Tensor, sigma: Tensor, output: Tensor) -> Tensor:
        """The x0 estimate (B, C, h, w) from the network's ``output`` for ``model_input(x, sigma)``."""
        ...

    def eps_at_timestep(self, x: Tensor, timestep: Tensor, output: Tensor, /) -> Tensor:
        """The noise in ``x`` (B, C, h, w; unit variance) from the network's ``output`` for ``x`` itself.

        ``timestep`` is 0-dim or (B,), in [0, T - 1].
        """
        ...


def _per_image(values: Tensor, x: Tensor) -> Tensor:
    """Shape ``values``, 0-dim or (B,), to broadcast over ``x`` (B, C, h, w)."""
    return values.to(x.device).reshape(-1, *[1] * (x.ndim - 1))


@dataclass(frozen=True)
class EpsilonPrediction:
    """The network predicts the noise: SD1, SDXL, SD2 base.

    Source: Ho et al. 2020, eq. 14; Karras et al. 2022, table 1 (VP column: c_skip 1, c_out -sigma).
    """

    schedule: NoiseSchedule

    def model_input(self, x: Tensor, sigma: Tensor) -> Tensor:
        """See :class:`Prediction`."""
        return x * (1 / (_per_image(sigma, x) ** 2 + 1) ** 0.5)

    def denoised(self, x: Tensor, sigma: Tensor, output: Tensor) -> Tensor:
        """See :class:`Prediction`."""
        return x - output * _per_image(sigma, x)

    def eps_at_timestep(self, _x: Tensor, _timestep: Tensor, output: Tensor, /) -> Tensor:
        """The output itself; see :class:`Prediction`."""
        return output


@dataclass(frozen=True)
class VPrediction:
    """The network predicts v = sqrt(alphas_cumprod) eps - sqrt(1 - alphas_cumprod) x0: SD2 at 768 pixels.

    Source: Salimans & Ho 2022, "Progressive Distillation for Fast Sampling of Diffusion Models", section 4.
    """

    schedule: NoiseSchedule

    def model_input(self, x: Tensor, sigma: Tensor) -> Tensor:
        """See :class:`Prediction`."""
        return x * (1 / (_per_image(sigma, x) ** 2 + 1) ** 0.5)

    def denoised(self, x: Tensor, sigma: Tensor, output: Tensor) -> Tensor:
        """See :class:`Prediction`; c_skip = 1 / (sigma^2 + 1), c_out = -sigma / sqrt(sigma^2 + 1)."""
        sigma = _per_image(sigma, x)
        c_skip = 1 / (sigma**2 + 1)
        c_out = -sigma * (1 / (sigma**2 + 1) ** 0.5)
        return output * c_out + x * c_skip

    def eps_at_timestep(self, x: Tensor, timestep: Tensor, output: Tensor, /) -> Tensor:
        """See :class:`Prediction`; fractional timesteps read the table at their whole part."""
        alphas_cumprod = _per_image(self.schedule.alphas_cumprod[timestep.cpu().long()], x)
        return alphas_cumprod.sqrt() * output + (1 - alphas_cumprod).sqrt() * x


def prediction_for(kind: Literal["epsilon", "v"], schedule: NoiseSchedule) -> Prediction:
    """The prediction of a model whose network was trained for ``kind`` on ``schedule``."""
    return VPrediction(schedule) if kind == "v" else EpsilonPrediction(schedule)
