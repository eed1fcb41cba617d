"""Image to image and inpainting: encode the source, noise it part of the way, sample, decode.

Meng et al. 2021, "SDEdit": the denoising strength decides how much noise is laid over the source, and
so how much of it survives. With a mask, everything outside it is put back at every step.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.diffusion.noise import NoiseSource
from modules.generation.effects import ImageCoroutine, use_model
from modules.generation.facts import gather_facts
from modules.generation.finishing import finish
from modules.generation.image_conditioning import source_conditioning
from modules.generation.latents import encode_pixels, pixels_to_tensor
from modules.generation.mask_blend import HardBlend, SoftBlend
from modules.generation.passes import ImagePass, PassStart, run_pass
from modules.generation.plan import GenerationPlan, ImagePlan
from modules.generation.sampling_pass import HaltedError
from modules.generation.sources import PreparedSource
from modules.generation.story import Story

__all__ = ["image_to_image"]

LATENT_NOISE, LATENT_NOTHING = 2, 3  # values of ``inpainting_fill``


def image_to_image(story: Story, source: PreparedSource) -> ImageCoroutine:
    """The whole story of one picture made from another one."""
    plan, image = story.plan, story.image
    model = yield from use_model(plan.model)
    prompts = story.room.prompts.encode(model, plan.model, plan, image, "first")
    facts = gather_facts(story, model, prompts.facts)
    start = _start(model, plan, image, source)
    only = ImagePass(story, "first", plan.first, plan.model, model, prompts, start)
    try:
        result = yield from run_pass(only)
    except HaltedError as halted:
        return (yield from finish(story, plan.model, halted.latent, facts, complete=False))
    finished = yield from finish(story, result.key, result.latent, facts)
    if source.soft is None or start.blend is None:
        return finished
    moved = (result.latent - start.blend.original)[0].norm(dim=0)
    return replace(finished, distance=moved.numpy())


def _start(model: LoadedModel, plan: GenerationPlan, image: ImagePlan, source: PreparedSource) -> PassStart:
    """Latent, mask and conditioning of the source."""
    settings, asked = plan.settings, plan.request.image_to_image
    pixels = pixels_to_tensor(source.pixels(image.index))
    latent = _fitted(encode_pixels(model, pixels), plan, model)
    blend = None
    if source.latent_mask is not None:
        paint = torch.from_numpy(source.latent_mask).expand_as(latent)
        latent = _filled(latent, paint, source.fill, image)
        blend = HardBlend(latent, paint) if source.soft is None else SoftBlend(latent, paint, source.soft)
    mask = None if source.mask is None else torch.from_numpy(source.mask)[None, None]
    reversal = None if asked is None else asked.noise_reversal
    multiplier = None if asked is None else asked.initial_noise_multiplier
    if reversal is not None:
        multiplier = 1.0  # noise that was found is taken as it is
    return PassStart(
        latent=latent,
        noise_multiplier=settings.initial_noise_multiplier if multiplier is None else multiplier,
        extra_noise=settings.img2img_extra_noise,
        concat=source_conditioning(model, pixels, latent, mask, mask_weight=settings.inpainting_mask_weight),
        blend=blend,
        reversal=reversal,
    )


def _fitted(latent: Tensor, plan: GenerationPlan, model: LoadedModel) -> Tensor:
    """The latent at the plan's size; it only differs with "Just resize (latent upscale)"."""
    size = (plan.first.height // model.latent_factor, plan.first.width // model.latent_factor)
    return latent if latent.shape[-2:] == size else F.interpolate(latent, size=size, mode="bilinear")


def _filled(latent: Tensor, paint: Tensor, fill: int, image: ImagePlan) -> Tensor:
    """Replace the masked cells by noise or nothing, where the user wants the old content gone."""
    if fill == LATENT_NOISE:
        noise = NoiseSource(image.seed, (latent.shape[1], latent.shape[2], latent.shape[3])).next()
        return latent * (1 - paint) + noise * paint
    return latent * (1 - paint) if fill == LATENT_NOTHING else latent
