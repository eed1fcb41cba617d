"""Noise schedules: how much signal and noise a latent holds at each timestep of the forward process."""

from dataclasses import dataclass, field
from math import cos, pi
from typing import Self

import torch
from torch import Tensor

__all__ = ["ConsistencySchedule", "NoiseSchedule"]

TIMESTEPS = 1000  # what every Stable Diffusion was trained with
CONSISTENCY_TIMESTEPS = 50  # Luo et al. 2023 distil on every 20th of 1000
MAX_BETA = 0.999  # keeps the last step of the cosine schedule invertible (Nichol & Dhariwal, section 3.2)
ZERO_SNR_LAST = 4.8973451890853435e-08  # alphas_cumprod[-1] after rescaling; exactly 0 has no finite sigma


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """The variance-preserving process x_t = sqrt(alphas_cumprod_t) x_0 + sqrt(1 - alphas_cumprod_t) eps.

    Timesteps run from 0 (almost clean) to T - 1 (almost pure noise). ``sigma`` is the noise level of the
    same latent divided by its signal's scale: sigma_t = sqrt((1 - alphas_cumprod_t) / alphas_cumprod_t).

    Attributes:
        alphas_cumprod: (T,), strictly decreasing, in (0, 1); float32, or float16 after :meth:`downcast`.
        sigmas: (T,), increasing, same dtype.
        log_sigmas: (T,), natural logarithm of ``sigmas``, same dtype.

    Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 4; Karras et al. 2022,
    "Elucidating the Design Space of Diffusion-Based Generative Models", table 1 (VP column).
    """

    alphas_cumprod: Tensor
    sigmas: Tensor = field(init=False)
    log_sigmas: Tensor = field(init=False)

    def __post_init__(self) -> None:
        sigmas = ((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5
        object.__setattr__(self, "sigmas", sigmas)
        object.__setattr__(self, "log_sigmas", sigmas.log())

    @classmethod
    def from_alphas_cumprod(cls, alphas_cumprod: Tensor) -> Self:
        """Build from the table itself, (T,), any float dtype."""
        return cls(alphas_cumprod.detach().cpu().float())

    @classmethod
    def from_betas(cls, betas: Tensor) -> Self:
        """Build from per-step noise variances, (T,) float64 in (0, 1)."""
        return cls.from_alphas_cumprod(torch.cumprod(1 - betas, dim=0))

    @classmethod
    def scaled_linear(
        cls, timesteps: int = TIMESTEPS, *, beta_start: float = 0.00085, beta_end: float = 0.0120
    ) -> Self:
        """Betas linear in their square root: the schedule of SD1, SD2 and SDXL.

        Source: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models".
        """
        return cls.from_betas(
            torch.linspace(beta_start**0.5, beta_end**0.5, timesteps, dtype=torch.float64) ** 2
        )

    @classmethod
    def linear(cls, timesteps: int = TIMESTEPS, *, beta_start: float = 1e-4, beta_end: float = 0.02) -> Self:
        """Betas linear in time. Source: Ho et al. 2020, section 4."""
        return cls.from_betas(torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64))

    @classmethod
    def cosine(cls, timesteps: int = TIMESTEPS, *, offset: float = 0.008) -> Self:
        """Signal that falls as a squared cosine.

        Source: Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", eq. 17.
        """

        def signal(t: int) -> float:
            return cos((t / timesteps + offset) / (1 + offset) * pi / 2) ** 2

        betas = [min(1 - signal(t + 1) / signal(t), MAX_BETA) for t in range(timesteps)]
        return cls.from_betas(torch.tensor(betas, dtype=torch.float64))

    def zero_terminal_snr(self) -> Self:
        """Shift and stretch sqrt(alphas_cumprod) so that the last timestep is (nearly) pure noise.

        Source: Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.
        """
        signal = self.alphas_cumprod.float().sqrt()
        first, last = signal[0].clone(), signal[-1].clone()
        alphas_cumprod = ((signal - last) * (first / (first - last))) ** 2
        alphas_cumprod[-1] = ZERO_SNR_LAST
        return type(self)(alphas_cumprod)

    def downcast(self) -> Self:
        """The same schedule in half precision, as old half-precision pictures were made with."""
        return type(self)(self.alphas_cumprod.half())

    @property
    def timesteps(self) -> int:
        """T, the number of timesteps."""
        return len(self.sigmas)

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last timestep that the network knows."""
        return 0, self.timesteps - 1

    @property
    def sigma_min(self) -> Tensor:
        """Noise level of timestep 0, 0-dim."""
        return self.sigmas[0]

    @property
    def sigma_max(self) -> Tensor:
        """Noise level of the last timestep, 0-dim."""
        return self.sigmas[-1]

    def t_to_sigma(self, t: Tensor) -> Tensor:
        """Noise level of timesteps, fractional ones by linear interpolation of log sigma.

        Args:
            t: timesteps in [0, T - 1], any shape.
        """
        t = t.float().to(self.log_sigmas.device)
        low, high, fraction = t.floor().long(), t.ceil().long(), t.frac()
        log_sigma = (1 - fraction) * self.log_sigmas[low] + fraction * self.log_sigmas[high]
        return log_sigma.exp()

    def nearest_timestep(self, t: float) -> int:
        """The whole timestep whose sigma is nearest to that of a fractional one; between two, the earlier."""
        return int((self.sigmas - self.t_to_sigma(torch.tensor(t))).abs().argmin())

    def sigma_to_t(self, sigma: Tensor, quantize: bool = False) -> Tensor:
        """Timestep of noise levels: fractional by interpolation of log sigma, or the nearest whole one.

        Args:
            sigma: positive noise levels, any shape; values outside the table are clamped to its ends.
            quantize: round to the nearest timestep of the table.

        Returns:
            Timesteps in [0, T - 1], float32, on ``sigma``'s device.
        """
        log_sigma, table = sigma.detach().cpu().log(), self.log_sigmas
        if quantize:
            nearest = (log_sigma[..., None] - table).abs().argmin(dim=-1)
            return nearest.float().to(sigma.device)
        low = (log_sigma[..., None] >= table).sum(dim=-1).sub(1).clamp(0, self.timesteps - 2)
        fraction = ((table[low] - log_sigma) / (table[low] - table[low + 1])).clamp(0, 1)
        return ((1 - fraction) * low + fraction * (low + 1)).to(sigma.device)


@dataclass(frozen=True, eq=False)
class ConsistencySchedule(NoiseSchedule):
    """Every ``stride``-th timestep of a schedule: those a latent consistency model was distilled on.

    Attributes:
        stride: entry i of the tables belongs to timestep (i + 1) * stride - 1 of the full schedule.

    Source: Luo et al. 2023, "Latent Consistency Models", section 4.3.
    """

    stride: int = 20

    @classmethod
    def of(cls, schedule: NoiseSchedule) -> Self:
        """The 50 timesteps 19, 39, ..., 999 of a schedule of 1000."""
        stride = schedule.timesteps // CONSISTENCY_TIMESTEPS
        return cls(schedule.alphas_cumprod[stride - 1 :: stride].float(), stride=stride)

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last timestep that the network knows."""
        return self.stride - 1, self.timesteps * self.stride - 1

    def t_to_sigma(self, t: Tensor) -> Tensor:
        """Noise level of timesteps of the full schedule, interpolated between those of the table."""
        index = (t.float() - (self.stride - 1)) / self.stride
        return super().t_to_sigma(index.clamp(0, self.timesteps - 1))

    def sigma_to_t(self, sigma: Tensor, quantize: bool = False) -> Tensor:
        """The nearest timestep the network was distilled on; ``quantize`` changes nothing."""
        return super().sigma_to_t(sigma, quantize=True) * self.stride + (self.stride - 1)
