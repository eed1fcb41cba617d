"""What a sampler is called, which function it is, and what it may be told."""

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Literal, Protocol

from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.sampling import Sampler, SamplerState
from modules.diffusion.schedule import NoiseSchedule
from modules.exceptions import RequestError

__all__ = ["SampleFunction", "SamplerOptions", "SamplerSpec", "UniPcOptions", "UniPcSkipType", "UniPcVariant"]

UniPcVariant = Literal["bh1", "bh2", "vary_coeff"]
UniPcSkipType = Literal["time_uniform", "time_quadratic", "logSNR"]


@dataclass(frozen=True)
class UniPcOptions:
    """Settings of UniPC.

    Attributes:
        variant: bh1 and bh2 are the paper's two choices of B(h); vary_coeff has coefficients of its own.
        skip_type: how time is divided.
        order: accuracy of the predictor, 1 or more; with fewer steps than that, as many as there are.
        lower_order_final: lower the order in the last steps, which helps with few of them.
    """

    variant: UniPcVariant = "bh1"
    skip_type: UniPcSkipType = "time_uniform"
    order: int = 3
    lower_order_final: bool = True

    def __post_init__(self) -> None:
        if self.order < 1:
            raise RequestError("uni_pc_order", f"UniPC's order must be 1 or more, not {self.order}.")


@dataclass(frozen=True)
class SamplerOptions:
    """All that a sampler may be told; each reads only what its method knows.

    Attributes:
        schedule: the model's noise schedule.
        eta: share of fresh noise in a step: 0 none (ODE), 1 as in the paper.
        s_churn: noise added and removed again over the whole run (Karras et al. 2022, algorithm 2).
        s_tmin: lowest noise level with churn.
        s_tmax: highest noise level with churn; 0 means any.
        s_noise: standard deviation of the fresh noise.
        steps: number of steps for methods that divide the range of noise levels themselves (DPM fast).
        sigma_range: lowest and highest noise level for such methods (DPM fast, DPM adaptive).
        brownian_range: ends of the Brownian path: lowest positive and highest noise level of the *whole*
            schedule, also where sampling starts in its middle.
        from_latent: sampling starts from a noised picture, not from noise.
        unipc: settings of UniPC.

    Raises:
        RequestError: a value no method can work with.
    """

    schedule: NoiseSchedule
    eta: float = 1.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = 0.0
    s_noise: float = 1.0
    steps: int = 20
    sigma_range: tuple[float, float] = (0.0, 0.0)
    brownian_range: tuple[float, float] = (0.0, 0.0)
    from_latent: bool = False
    unipc: UniPcOptions = field(default_factory=UniPcOptions)

    def __post_init__(self) -> None:
        if not (isfinite(self.eta) and self.eta >= 0):
            raise RequestError("eta", f"Eta must be 0 or more, not {self.eta:g}.")
        if not (isfinite(self.s_churn) and self.s_churn >= 0):
            raise RequestError("s_churn", f"Sigma churn must be 0 or more, not {self.s_churn:g}.")

    @property
    def churn_ceiling(self) -> float:
        """The highest noise level with churn."""
        return self.s_tmax or inf


class SampleFunction(Protocol):
    """A sampling method."""

    def __call__(
        self, state: SamplerState, sigmas: Tensor, noise: NoiseSource, options: SamplerOptions
    ) -> Sampler:
        """Start, or go on from, ``state``.

        Args:
            state: the latent (1, C, h, w) and where sampling stands.
            sigmas: noise levels, decreasing; for timestep samplers timesteps, ascending. On the CPU.
            noise: the image's stream, at position ``state.draws`` unless sampling starts.
            options: see :class:`SamplerOptions`.
        """
        ...


@dataclass(frozen=True)
class SamplerSpec:
    """A named sampler.

    Attributes:
        name: what the page and the infotext print.
        function: the method.
        aliases: other names it is found by.
        kind: whether it asks for denoised latents at noise levels or for noise at timesteps.
        default_scheduler: internal name of the schedule that Automatic means; None is Uniform.
        uses_ensd: the eta noise seed delta changes its pictures.
        second_order: asks twice a step; prompt editing then counts every question as a step.
        discard_next_to_last_sigma: make one noise level more and leave out the last but one.
        brownian: draws from the image's Brownian path.
        uses_churn: reads s_churn, s_tmin and s_tmax.
        uses_s_noise: reads s_noise.
        default_eta: eta unless the user says otherwise; None if the method has none.
        cfg_scale_multiplier: applied to the user's cfg_scale.
        consistency: samples on the table of a latent consistency model.
    """

    name: str
    function: SampleFunction
    aliases: tuple[str, ...] = ()
    kind: Literal["sigma", "timestep"] = "sigma"
    default_scheduler: str | None = None
    uses_ensd: bool = False
    second_order: bool = False
    discard_next_to_last_sigma: bool = False
    brownian: bool = False
    uses_churn: bool = False
    uses_s_noise: bool = False
    default_eta: float | None = None
    cfg_scale_multiplier: float = 1.0
    consistency: bool = False
