"""Hires fix: enlarge the first pass's latent or picture, then sample again with fresh noise."""

from collections.abc import Callable, Generator

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from modules.generation.effects import Answer, Effect, ImageFacts, use_model
from modules.generation.elsewhere import run_elsewhere
from modules.generation.facts import merge_facts
from modules.generation.hires_size import LATENT_UPSCALERS
from modules.generation.image_conditioning import source_conditioning
from modules.generation.latents import decode_checked, decode_latent, encode_pixels, pixels_to_tensor
from modules.generation.passes import ImagePass, PassResult, PassStart, run_pass
from modules.generation.plan import HiresPlan
from modules.generation.sources import find_upscaler
from modules.generation.story import Story, StoryRoom
from modules.imaging.resize import ResizeMode, resize_image
from modules.settings.options import Settings

__all__ = ["hires_pass"]


def hires_pass(
    story: Story, hires: HiresPlan, first: PassResult, facts: ImageFacts
) -> Generator[Effect, Answer, tuple[PassResult, ImageFacts]]:
    """Run the second pass; returns its latent and what the prompts added to the facts."""
    plan, image, room = story.plan, story.image, story.room
    prompts = None
    if plan.settings.hires_fix_use_firstpass_conds and hires.model.checkpoint == plan.model.checkpoint:
        first_model = yield from use_model(plan.model)
        prompts = room.prompts.encode(first_model, plan.model, plan, image, "hires")
    latent, pixels = yield from _enlarged(hires, first, room, plan.settings)
    model = yield from use_model(hires.model)
    if latent is None:
        latent = encode_pixels(model, pixels, image.seed)
    latent = _cropped(latent, hires)
    if prompts is None:
        prompts = room.prompts.encode(model, hires.model, plan, image, "hires")
    concat = None
    if model.family.extra_channels != "none":
        shown = pixels_to_tensor(decode_latent(model, latent))
        concat = source_conditioning(
            model,
            shown,
            latent,
            None,
            mask_weight=plan.settings.inpainting_mask_weight,
            seed=image.seed,
        )
    start = PassStart(latent=latent, extra_noise=plan.settings.img2img_extra_noise, concat=concat)
    second = ImagePass(story, "hires", hires.sampling, hires.model, model, prompts, start)
    result = yield from run_pass(second)
    return result, merge_facts(facts, prompts.facts)


def _enlarged(
    hires: HiresPlan, first: PassResult, room: StoryRoom, settings: Settings
) -> Generator[Effect, Answer, tuple[Tensor | None, Tensor]]:
    """The first pass's result at the new size: as a latent, or as pixels (1, 3, H, W) in [-1, 1]."""
    mode = LATENT_UPSCALERS.get(hires.upscaler)
    if mode is not None:
        interpolation, antialias = mode
        size = (hires.upscale_height // 8, hires.upscale_width // 8)
        return F.interpolate(first.latent, size=size, mode=interpolation, antialias=antialias), first.latent
    model = yield from use_model(first.key)
    picture = Image.fromarray(decode_checked(model, first.latent, settings))

    def enlarge(stop: Callable[[], bool]) -> Image.Image:
        upscaler = find_upscaler(hires.upscaler, room.upscalers, settings, stop=stop)
        size = hires.upscale_width, hires.upscale_height
        return resize_image(ResizeMode.JUST_RESIZE, picture, *size, upscaler=upscaler)

    larger = yield from run_elsewhere(enlarge, otherwise=first.latent)
    return None, pixels_to_tensor(np.asarray(larger))


def _cropped(latent: Tensor, hires: HiresPlan) -> Tensor:
    """Cut the overhang off evenly, the odd cell at the far side."""
    height, width = latent.shape[-2:]
    top, bottom = hires.crop_y // 2, height - (hires.crop_y + 1) // 2
    left, right = hires.crop_x // 2, width - (hires.crop_x + 1) // 2
    return latent[:, :, top:bottom, left:right]
