"""One run of a sampler, told as a coroutine: questions go to the denoiser, steps to the engine."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from torch import Tensor

from modules.diffusion.sampling import Sampler, SamplerState, StepDone
from modules.generation.denoiser import GuidedDenoiser
from modules.generation.effects import HALT, Answer, Effect, Stage, StepEnd

__all__ = ["HaltedError", "sampling_pass"]


class HaltedError(Exception):
    """The owner ended this picture early; ``latent`` is the best there is of it, (1, C, h, w)."""

    def __init__(self, latent: Tensor) -> None:
        super().__init__("ended early")
        self.latent = latent


@dataclass(frozen=True)
class PassProgress:
    """What a pass is called, and how many steps it has."""

    name: Stage
    steps: int


def sampling_pass(
    sampler: Sampler,
    denoiser: GuidedDenoiser,
    progress: PassProgress,
    *,
    keep: Callable[[SamplerState, int], None] = lambda _state, _calls: None,
) -> Generator[Effect, Answer, Tensor]:
    """Drive ``sampler`` to its end; returns the final latent, (1, C, h, w).

    Args:
        sampler: started.
        denoiser: answers it.
        progress: what the engine is told of each step.
        keep: told each step's state and the calls that led to it.

    Raises:
        HaltedError: the engine answered a step with ``HALT``.
    """
    reply = None
    while True:
        try:
            event = sampler.send(reply)
        except StopIteration as end:
            final: Tensor = end.value
            return final
        if isinstance(event, StepDone):
            keep(event.state, denoiser.calls)
            answer = yield StepEnd(
                progress.name,
                event.state,
                event.denoised,
                denoiser.calls,
                event.state.step,
                progress.steps,
                shown=denoiser.shown,
                key=denoiser.key,
            )
            if answer is HALT:
                raise HaltedError(event.denoised)
            reply = None
        else:
            reply = yield from denoiser.answer(event)
