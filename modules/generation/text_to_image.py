"""Text to image: encode, noise, sample, enlarge and sample again, decode."""

from torch import Tensor

from modules.generation.effects import (
    FinishedImage,
    ImageCoroutine,
    ImageFacts,
    ModelKey,
    use_model,
)
from modules.generation.facts import gather_facts
from modules.generation.hires import hires_pass
from modules.generation.image_conditioning import blank_conditioning
from modules.generation.latents import decode_latent
from modules.generation.passes import ImagePass, PassStart, run_pass
from modules.generation.sampling_pass import HaltedError
from modules.generation.story import Story

__all__ = ["finish", "text_to_image"]


def text_to_image(story: Story) -> ImageCoroutine:
    """The whole story of one picture made from words alone."""
    plan, image = story.plan, story.image
    model = yield from use_model(plan.model)
    prompts = story.room.prompts.encode(model, plan.model, plan, image, "first")
    facts = gather_facts(story, model, prompts.facts)
    concat = blank_conditioning(model, plan.first.width, plan.first.height, image.seed)
    first = ImagePass(story, "first", plan.first, plan.model, model, prompts, PassStart(concat=concat))
    key = plan.model
    try:
        result = yield from run_pass(first)
        key = result.key
        if plan.hires is not None:
            result, facts = yield from hires_pass(story, plan.hires, result, facts)
            key = result.key
    except HaltedError as halted:
        return (yield from finish(key, halted.latent, facts, complete=False))
    return (yield from finish(key, result.latent, facts))


def finish(key: ModelKey, latent: Tensor, facts: ImageFacts, *, complete: bool = True) -> ImageCoroutine:
    """Decode the final latent."""
    model = yield from use_model(key)
    return FinishedImage(decode_latent(model, latent), latent, facts, complete)
