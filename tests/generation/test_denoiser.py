"""A sampler's questions become network calls."""

import torch
from torch import Tensor

from modules.conditioning.conditioned import ComposedConditioning, Conditioning, ScheduledConditioning
from modules.diffusion.prediction import prediction_for
from modules.diffusion.sampling import Evaluate
from modules.diffusion.schedule import NoiseSchedule
from modules.generation.denoiser import GuidanceOptions, GuidedDenoiser, ModelView, PromptConditioning
from modules.generation.effects import ModelKey, Predict


def text(seed: int) -> Conditioning:
    generator = torch.Generator().manual_seed(seed)
    return Conditioning(torch.randn(77, 8, generator=generator), vector=torch.randn(5, generator=generator))


def asked(denoiser: GuidedDenoiser) -> Predict:
    """What the network is asked at the next call."""
    asking = denoiser.answer(Evaluate(torch.randn(1, 4, 2, 2), torch.tensor(3.0)))
    request = next(asking)
    assert isinstance(request, Predict)
    try:
        asking.send(torch.zeros_like(request.x))
    except StopIteration:
        return request
    raise AssertionError("one call answers both texts")


def same(first: Tensor | None, second: Tensor | None) -> bool:
    return first is not None and first is second


def test_texts_are_the_same_tensors_for_as_long_as_they_do_not_change() -> None:
    schedule = NoiseSchedule.scaled_linear()
    first, later, negative = text(0), text(1), text(2)
    prompt = ScheduledConditioning(((2, first), (20, later)))
    conditioning = PromptConditioning(
        ComposedConditioning(((prompt, 1.0),)), ScheduledConditioning(((20, negative),))
    )
    view = ModelView(ModelKey("model"), prediction_for("epsilon", schedule), conditioning)
    options = GuidanceOptions(cfg_scale=7.0, total_calls=20)
    denoiser = GuidedDenoiser(view, options, timestep_of=schedule.sigma_to_t)
    calls = [asked(denoiser) for _ in range(5)]
    assert [same(call.context, calls[0].context) for call in calls] == [True, True, True, False, False]
    assert [same(call.vector, calls[3].vector) for call in calls] == [False, False, False, True, True]
    assert torch.equal(calls[0].context, torch.stack([first.context, negative.context]))
    assert torch.equal(calls[4].context, torch.stack([later.context, negative.context]))
