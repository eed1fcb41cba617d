"""Collect what the infotext says beyond the plan."""

from dataclasses import replace

from modules.adapters.network_catalog import lora_hashes
from modules.adapters.patches import patch_comments
from modules.checkpoints.model import LoadedModel
from modules.generation.effects import ImageFacts
from modules.generation.hires_size import LATENT_UPSCALERS
from modules.generation.story import Story

__all__ = ["gather_facts", "merge_facts"]


def gather_facts(story: Story, model: LoadedModel, prompts: ImageFacts) -> ImageFacts:
    """Facts of the first pass: adapters in the order in which they apply, kind of checkpoint."""
    plan = story.plan
    hashes = lora_hashes(plan.model.patches) if plan.settings.lora_add_hashes_to_infotext else ""
    loras = (("Lora hashes", hashes),) if hashes else ()
    return replace(
        prompts,
        adapters=loras + prompts.adapters,
        comments=patch_comments(model) + model.notes + prompts.comments,
        vae_methods=_vae_methods(story, model),
        uses_mask_conditioning=model.family.extra_channels == "inpaint",
        edits_images=model.family.extra_channels == "edit",
    )


def _vae_methods(story: Story, model: LoadedModel) -> tuple[tuple[str, str], ...]:
    """What stood in for the VAE; an encoder that was not used is not mentioned."""
    hires = story.plan.hires
    encodes = story.plan.request.image_to_image is not None or (
        hires is not None and hires.upscaler not in LATENT_UPSCALERS
    )
    methods = []
    if encodes and model.tiny_encoder is not None:
        methods.append(("VAE Encoder", "TAESD"))
    if model.tiny_decoder is not None:
        methods.append(("VAE Decoder", "TAESD"))
    return tuple(methods)


def merge_facts(first: ImageFacts, second: ImageFacts) -> ImageFacts:
    """Facts of a picture whose second pass had prompts of its own; hashes are those of the first."""
    comments = tuple(comment for comment in second.comments if comment not in first.comments)
    return replace(
        first,
        emphasised=first.emphasised or second.emphasised,
        old_timelines=first.old_timelines or second.old_timelines,
        comments=first.comments + comments,
    )
