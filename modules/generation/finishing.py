"""The last step of every picture: from the final latent to pixels, faces restored where that is wanted."""

from dataclasses import replace

import numpy as np
from PIL import Image
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.exceptions import WebuiError
from modules.generation.effects import FinishedImage, ImageCoroutine, ImageFacts, ModelKey, use_model
from modules.generation.latents import decode_checked
from modules.generation.story import Story

__all__ = ["finish"]


def finish(
    story: Story, key: ModelKey, latent: Tensor, facts: ImageFacts, *, complete: bool = True
) -> ImageCoroutine:
    """Decode the final latent; a picture that was ended early is decoded as its previews, if so set."""
    model = yield from use_model(key)
    if not complete and story.plan.settings.live_preview_fast_interrupt:
        return FinishedImage(_as_preview(story, model, latent), latent, facts, complete)
    finished = FinishedImage(decode_checked(model, latent, story.plan.settings), latent, facts, complete)
    return _with_better_faces(story, finished) if complete and story.plan.face_restorer else finished


def _as_preview(story: Story, model: LoadedModel, latent: Tensor) -> np.ndarray:
    picture = story.room.previewer.draw(model, latent, story.plan.settings.show_progress_type).picture
    size = (latent.shape[-1] * model.latent_factor, latent.shape[-2] * model.latent_factor)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def _with_better_faces(story: Story, finished: FinishedImage) -> FinishedImage:
    """Restore faces; a picture whose faces cannot be restored is better than none."""
    name, facts = story.plan.face_restorer, finished.facts
    try:
        better = story.room.faces.restore(
            Image.fromarray(finished.pixels), name, weight=story.plan.settings.code_former_weight
        )
    except WebuiError as error:
        lost = f"Faces were not restored. {error}"
        return replace(finished, facts=replace(facts, comments=(*facts.comments, lost)))
    return replace(
        finished,
        pixels=np.asarray(better),
        unrestored=finished.pixels,
        facts=replace(facts, face_restorer=name),
    )
