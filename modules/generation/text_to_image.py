"""Text to image: encode, noise, sample, enlarge and sample again, decode."""

from collections.abc import Generator
from dataclasses import replace

from modules.exceptions import DeviceMemoryError
from modules.generation.effects import Answer, Effect, ImageCoroutine, ImageFacts, use_model
from modules.generation.facts import gather_facts
from modules.generation.finishing import finish
from modules.generation.hires import hires_pass
from modules.generation.image_conditioning import blank_conditioning
from modules.generation.passes import ImagePass, PassResult, PassStart, run_pass
from modules.generation.plan import HiresPlan
from modules.generation.sampling_pass import HaltedError
from modules.generation.story import Story

__all__ = ["text_to_image"]


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
            result, facts = yield from _larger(story, plan.hires, result, facts)
            key = result.key
    except HaltedError as halted:
        return (yield from finish(story, key, halted.latent, facts, complete=False))
    return (yield from finish(story, key, result.latent, facts))


def _larger(
    story: Story, hires: HiresPlan, first: PassResult, facts: ImageFacts
) -> Generator[Effect, Answer, tuple[PassResult, ImageFacts]]:
    """The hires pass; where it cannot be had, the first pass's picture is better than none."""
    try:
        return (yield from hires_pass(story, hires, first, facts))
    except DeviceMemoryError as error:
        lost = f"Hires fix was left out: {error}"
    return first, replace(facts, comments=(*facts.comments, lost))
