"""Drive a sampler without a network: an ideal denoiser for Gaussian data, or any function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modules.diffusion.noise import NoiseKind, NoiseSource, NoiseSpec, initial_noise
from modules.diffusion.samplers import SamplerOptions, SamplerSpec
from modules.diffusion.samplers.unipc_time import ContinuousTime
from modules.diffusion.sampling import Evaluate, EvaluateEps, GuidedEps, Sampler, SamplerState, StepDone
from modules.diffusion.schedule import NoiseSchedule
from modules.diffusion.schedulers import find_scheduler
from modules.diffusion.start import SamplingStart, sampling_sigmas, start_from_noise

SHAPE = (4, 8, 8)
SCHEDULE = NoiseSchedule.scaled_linear()

Denoiser = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Run:
    """What a sampler did."""

    final: Tensor
    states: Sequence[SamplerState]
    questions: Sequence[Evaluate | EvaluateEps]
    denoised: Sequence[Tensor]

    @property
    def sigmas(self) -> Tensor:
        """Noise levels at which a sigma sampler asked."""
        return torch.stack([question.sigma for question in self.questions if isinstance(question, Evaluate)])


def gaussian(std: float) -> Denoiser:
    """The ideal denoiser of data ~ N(0, std^2); the ODE's exact solution scales as sqrt(std^2 + sigma^2)."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return x * (std**2 / (std**2 + sigma**2))

    return denoise


def crooked(x: Tensor, sigma: Tensor) -> Tensor:
    """A denoiser with nothing special about it, whose answers depend on everything."""
    return torch.tanh(x / (1 + sigma**2).sqrt()) * 1.5 + 0.3 * torch.sin(x + sigma)


def answer(
    question: Evaluate | EvaluateEps, denoise: Denoiser, schedule: NoiseSchedule
) -> Tensor | GuidedEps:
    """What a network with this denoiser would say."""
    if isinstance(question, Evaluate):
        return denoise(question.x, question.sigma)
    time = ContinuousTime(schedule)
    t = (question.timestep.float() + 1) / schedule.timesteps
    alpha, std = time.alpha(t), time.sigma(t)
    x, sigma = question.x / alpha, std / alpha
    eps = (x - denoise(x, sigma)) / sigma
    return GuidedEps(eps, 0.9 * eps)


def drive(sampler: Sampler, denoise: Denoiser, schedule: NoiseSchedule = SCHEDULE) -> Run:
    """Answer a sampler's questions until it returns."""
    states: list[SamplerState] = []
    questions: list[Evaluate | EvaluateEps] = []
    denoised: list[Tensor] = []
    reply: Tensor | GuidedEps | None = None
    while True:
        try:
            event = sampler.send(reply)
        except StopIteration as stop:
            return Run(stop.value, states, questions, denoised)
        if isinstance(event, StepDone):
            states.append(event.state)
            denoised.append(event.denoised)
            reply = None
        else:
            questions.append(event)
            reply = answer(event, denoise, schedule)


def prepare(
    spec: SamplerSpec,
    steps: int,
    *,
    seed: int = 5,
    kind: NoiseKind = "CPU",
    scheduler: str = "automatic",
    shape: tuple[int, int, int] = SHAPE,
    schedule: NoiseSchedule = SCHEDULE,
    **options: Any,  # noqa: ANN401
) -> tuple[SamplingStart, NoiseSource]:
    """Text to image with a sampler's defaults."""
    noise, source = initial_noise(NoiseSpec(seed, kind=kind), shape)
    options = {"eta": spec.default_eta or 0.0, **options}
    chosen = SamplerOptions(schedule, steps=steps, **options)
    sigmas = sampling_sigmas(spec, find_scheduler(scheduler), steps, schedule)
    return start_from_noise(spec, noise, sigmas, chosen), source


def sample(
    spec: SamplerSpec,
    start: SamplingStart,
    source: NoiseSource,
    denoise: Denoiser,
    state: SamplerState | None = None,
) -> Run:
    """Run a sampler from its start, or from a later state."""
    state = state or SamplerState(start.x, draws=source.draws)
    sampler = spec.function(state, start.sigmas, source, start.options)
    return drive(sampler, denoise, start.options.schedule)
