"""A1111's ``info``: everything about a job, as programs on its API read it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from modules.generation.effects import ImageFacts
from modules.generation.parameters import VERSION, extra_parameters
from modules.generation.plan import GenerationPlan

__all__ = ["MadePicture", "job_info"]


@dataclass(frozen=True)
class MadePicture:
    """What ``info`` says of one picture."""

    seed: int
    subseed: int
    prompt: str
    negative_prompt: str


def job_info(
    plan: GenerationPlan,
    facts: ImageFacts,
    pictures: Sequence[MadePicture],
    infotexts: Sequence[str],
    *,
    grids: int,
    begun: datetime,
) -> str:
    """The text.

    Args:
        plan: of the job; of its first request where a script asked for several.
        facts: that turned out when its last picture was made.
        pictures: at least one, in order.
        infotexts: of the grids, then of the pictures.
        grids: how many pictures in front are grids.
        begun: when the job was submitted.
    """
    request = plan.request
    source, hires = request.image_to_image, request.hires
    first = pictures[0]
    return json.dumps(
        {
            "prompt": first.prompt,
            "all_prompts": [picture.prompt for picture in pictures],
            "negative_prompt": first.negative_prompt,
            "all_negative_prompts": [picture.negative_prompt for picture in pictures],
            "seed": first.seed,
            "all_seeds": [picture.seed for picture in pictures],
            "subseed": first.subseed,
            "all_subseeds": [picture.subseed for picture in pictures],
            "subseed_strength": request.subseed_strength,
            "width": plan.first.width,
            "height": plan.first.height,
            "sampler_name": plan.first.sampler,
            "cfg_scale": plan.first.cfg_scale,
            "steps": plan.first.steps,
            "batch_size": request.batch_size,
            "restore_faces": bool(plan.face_restorer),
            "face_restoration_model": plan.face_restorer or None,
            "sd_model_name": plan.checkpoint.stem,
            "sd_model_hash": plan.checkpoint.shorthash or None,
            "sd_vae_name": plan.vae.name if plan.vae else None,
            "sd_vae_hash": (plan.vae.shorthash or None) if plan.vae else None,
            "seed_resize_from_w": request.seed_resize_from_w,
            "seed_resize_from_h": request.seed_resize_from_h,
            "denoising_strength": (
                source.denoising_strength if source else hires.denoising_strength if hires else None
            ),
            "extra_generation_params": {
                "Schedule type": plan.first.scheduler,
                **extra_parameters(plan, facts),
            },
            "index_of_first_image": grids,
            "infotexts": list(infotexts),
            "styles": list(request.styles),
            "job_timestamp": begun.strftime("%Y%m%d%H%M%S"),
            "clip_skip": plan.settings.CLIP_stop_at_last_layers,
            "is_using_inpainting_conditioning": facts.uses_mask_conditioning,
            "version": VERSION,
        },
        ensure_ascii=False,
    )
