"""The pictures an image-to-image job starts from, made ready once for all its images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.checkpoints.upscalers import UpscalerCatalog
from modules.domain.request import ImageToImage, SoftInpainting
from modules.generation.plan import GenerationPlan
from modules.generation.story import StoryRoom
from modules.imaging.color_correction import color_target, correct_colors
from modules.imaging.inpaint import PreparedImage, PreparedMask, prepare_image, prepare_mask
from modules.imaging.masks import apply_overlay, latent_mask
from modules.imaging.soft_inpaint import soft_overlay, soft_overlay_mask
from modules.imaging.upscale import Upscaler
from modules.settings.options import Settings

__all__ = ["PreparedSource", "find_upscaler", "prepare_source"]


@dataclass(frozen=True)
class PreparedSource:
    """Start pictures and mask of one job.

    Attributes:
        images: one for each picture of a batch; a single one serves all.
        prepared_mask: how the result is put back into the original; None without a mask.
        mask: (H, W) float32, 1 is repainted, at the size that is worked on; for inpainting checkpoints.
        latent_mask: (h, w) float32 in latent cells.
        fill: what the masked cells start from (``inpainting_fill``).
        soft: options of soft inpainting, None when it is off.
        comments: what could not be honoured.
    """

    images: tuple[PreparedImage, ...]
    prepared_mask: PreparedMask | None = None
    mask: NDArray[np.float32] | None = None
    latent_mask: NDArray[np.float32] | None = None
    fill: int = 1
    soft: SoftInpainting | None = None
    comments: tuple[str, ...] = ()

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Start picture of the job's image ``index``, (H, W, 3) uint8."""
        return np.asarray(self._of(index).image)

    def composite(
        self,
        picture: Image.Image,
        index: int,
        settings: Settings,
        distance: NDArray[np.float32] | None = None,
    ) -> Image.Image:
        """The finished picture: colours corrected, the kept part of the original laid over it.

        Args:
            picture: as decoded.
            index: of the picture in the job.
            settings: options in force.
            distance: (h, w), how far each latent cell moved; for soft inpainting.
        """
        source = self._of(index)
        if settings.img2img_color_correction:
            picture = correct_colors(picture, color_target(source.image))
        if source.overlay is None or self.prepared_mask is None or not settings.overlay_inpaint:
            return picture
        overlay = self._soft_overlay(source, picture, distance) or source.overlay
        return apply_overlay(picture, overlay, self.prepared_mask.paste_to)

    def _soft_overlay(
        self, source: PreparedImage, picture: Image.Image, distance: NDArray[np.float32] | None
    ) -> Image.Image | None:
        """What soft inpainting lays over the result instead of the hard overlay."""
        known = (self.soft, distance, self.latent_mask, source.whole, self.prepared_mask)
        soft, moved, paint, whole, mask = known
        if soft is None or moved is None or paint is None or whole is None or mask is None:
            return None
        shown = soft_overlay_mask(
            moved,
            paint,
            picture.width,
            picture.height,
            preservation_strength=soft.preservation_strength,
            mask_influence=soft.mask_influence,
            difference_threshold=soft.difference_threshold,
            difference_contrast=soft.difference_contrast,
        )
        return soft_overlay(whole, shown, mask.paste_to)

    def _of(self, index: int) -> PreparedImage:
        return self.images[index % len(self.images)]


def prepare_source(plan: GenerationPlan, room: StoryRoom) -> PreparedSource | None:
    """Read and prepare everything; None for text to image.

    Raises:
        RequestError: a picture or the mask does not fit.
    """
    asked, settings = plan.request.image_to_image, plan.settings
    if asked is None:
        return None
    width, height = plan.first.width, plan.first.height
    originals = [room.blobs.image(blob) for blob in asked.images]
    prepared = _mask(asked, room, width, height)
    given = room.blobs.image(asked.latent_mask).convert("L") if asked.latent_mask else None
    upscaler = find_upscaler(settings.upscaler_for_img2img, room.upscalers, settings)
    images = tuple(
        prepare_image(
            original,
            width,
            height,
            mask=prepared,
            latent_mask=given,
            resize_mode=asked.resize_mode,
            masked_content=asked.inpainting_fill,
            background=settings.img2img_background_color,
            upscaler=upscaler,
        )
        for original in originals
    )
    if prepared is None:
        empty = asked.mask is not None
        comments = ("The mask is empty; the whole picture was changed.",) if empty else ()
        return PreparedSource(images, comments=comments)
    rounds = asked.mask_round and asked.soft_inpainting is None
    weights = np.asarray(prepared.mask.convert("L")).astype(np.float32) / np.float32(255)
    return PreparedSource(
        images,
        prepared,
        mask=np.around(weights) if rounds else weights,
        latent_mask=latent_mask(given or prepared.mask, width // 8, height // 8, round_values=rounds),
        fill=asked.inpainting_fill,
        soft=asked.soft_inpainting,
    )


def _mask(asked: ImageToImage, room: StoryRoom, width: int, height: int) -> PreparedMask | None:
    if asked.mask is None:
        return None
    return prepare_mask(
        room.blobs.image(asked.mask),
        width,
        height,
        resize_mode=asked.resize_mode,
        invert=asked.inpainting_mask_invert,
        blur_x=asked.mask_blur_x,
        blur_y=asked.mask_blur_y,
        round_values=asked.mask_round and asked.soft_inpainting is None,
        only_masked=asked.inpaint_full_res,
        padding=asked.inpaint_full_res_padding,
    )


def find_upscaler(
    name: str | None,
    upscalers: UpscalerCatalog,
    settings: Settings,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Upscaler | None:
    """The upscaler of that name; None for "None", which means plain Lanczos.

    Raises:
        NotFoundError: there is none of that name.
    """
    if not name or name == "None":
        return None
    return upscalers.find(name, settings, stop=stop)
